//! A program without the command has an issue worked on by the real opencode.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use tempfile::TempDir;

/// The `PATH` of the test, on which this program comes first.
fn path_with(program: &Path) -> OsString {
    let rest = std::env::var_os("PATH").unwrap();
    let first = program.parent().unwrap().to_owned();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest))).unwrap()
}

#[test]
fn a_program_without_the_command_has_an_issue_worked_on() {
    let model = ScriptedModel::start_blocking().unwrap();
    let sandbox = OpencodeSandbox::new(&model.base_url()).unwrap();
    let home = TempDir::with_prefix("kugetsu-example-").unwrap();
    let origin = SampleRepository::new(&home.path().join("origin")).unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_embed"))
        .arg(home.path().join("embedded"))
        .arg(origin.path())
        .arg("git.example/acme/widgets#7")
        .arg("MODEL: write a.txt a\nMODEL: commit add a\nMODEL: say I added a file.")
        .env_clear()
        .env("PATH", path_with(&opencode_program()))
        .envs(sandbox.env())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(0), "{err}");
    let out = String::from_utf8(told.stdout).unwrap();
    assert_eq!(out.trim(), "I added a file. (1 commits on fix/issue-7)");
}
