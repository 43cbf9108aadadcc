//! The Rust that the workspace states, and what its dependencies want.

use std::fs;

use crate::workspace::{metadata, name, ours, packages, root};

/// A version of Rust, to be compared.
fn parse(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

#[test]
fn nothing_that_the_lock_file_holds_wants_a_newer_rust_than_each_of_our_crates_states() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let stated = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    let metadata = metadata();
    for package in ours(&metadata) {
        assert_eq!(package["rust_version"], stated, "{}", name(package));
    }
    let all = packages(&metadata);
    assert!(all.len() > 200, "{}", all.len());
    for package in all {
        let Some(wanted) = package["rust_version"].as_str() else { continue };
        let which = format!("{} {}", name(package), package["version"]);
        assert!(parse(wanted) <= parse(stated), "{which} wants Rust {wanted}, we state {stated}");
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains(&format!("Rust {stated}")), "README.md states another Rust");
}
