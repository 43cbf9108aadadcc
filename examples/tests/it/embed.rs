//! A program without the command has an issue worked on by the real opencode.

use std::process::{Command, Stdio};

use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use tempfile::TempDir;

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
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(sandbox.env())
        .env("KUGETSU_OPENCODE", opencode_program())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(0), "{err}");
    let out = String::from_utf8(told.stdout).unwrap();
    assert_eq!(out.trim(), "I added a file. (1 commits on fix/issue-7)");
}
