//! What rustdoc says of a crate, as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use rustdoc_types::{Crate, FORMAT_VERSION};
use serde_json::Value;

use crate::workspace::{cargo, output};

/// Has rustdoc write down the crate with all of its features, and says where.
///
/// The form is not stable, so the compiler is told that it may write it, in a directory of its own:
/// the crates are compiled for it anew, once.
pub(crate) fn file(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("api");
    let mut cargo = cargo();
    cargo.args(["rustdoc", "--quiet", "--lib", "--all-features", "--offline", "--locked", "-p"]);
    cargo.arg(name).arg("--target-dir").arg(&target);
    cargo.args(["--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow"]);
    output(cargo.env("RUSTC_BOOTSTRAP", "1"));
    let file = target.join("doc").join(name.replace('-', "_")).with_extension("json");
    let text: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        text["format_version"], FORMAT_VERSION,
        "this rustdoc writes another form than the `rustdoc-types` in Cargo.toml reads: run the \
         tests with the Rust that the workspace states, or bump `rustdoc-types` and `public-api`"
    );
    file
}

/// The crate, read.
pub(crate) fn read(name: &str) -> Crate {
    serde_json::from_slice(&fs::read(file(name)).unwrap()).unwrap()
}
