//! The workspace as cargo sees it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where the workspace is.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// cargo, in the workspace and without the network.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env_or("CARGO", "cargo"));
    cargo.current_dir(root());
    // What whoever runs the tests has set for their own builds.
    for variable in ["RUSTFLAGS", "RUSTDOCFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    cargo
}

fn env_or(name: &str, other: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| other.into())
}

/// What the program writes to its standard output.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// `cargo metadata` of this machine's platform, with every feature and what the lock file holds.
pub(crate) fn metadata() -> Value {
    let told = output(Command::new(env_or("RUSTC", "rustc")).arg("-vV"));
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = cargo();
    cargo.args(["metadata", "--format-version=1", "--offline", "--locked", "--all-features"]);
    cargo.args(["--filter-platform", host]);
    serde_json::from_str(&output(&mut cargo)).unwrap()
}

/// The packages of the workspace.
pub(crate) fn ours(metadata: &Value) -> Vec<&Value> {
    let members = metadata["workspace_members"].as_array().unwrap();
    packages(metadata).into_iter().filter(|package| members.contains(&package["id"])).collect()
}

/// The packages of the workspace that are published.
pub(crate) fn published(metadata: &Value) -> Vec<&Value> {
    // `publish = false` is an empty list of registries.
    let mut packages = ours(metadata);
    packages.retain(|package| package["publish"].is_null());
    assert!(packages.len() > 10, "{}", packages.len());
    packages
}

/// All packages of the metadata.
pub(crate) fn packages(metadata: &Value) -> Vec<&Value> {
    metadata["packages"].as_array().unwrap().iter().collect()
}

/// The package's name.
pub(crate) fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}
