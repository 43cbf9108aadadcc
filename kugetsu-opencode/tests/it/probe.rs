//! What is said of an opencode that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use kugetsu_core::agent::{AgentError, Role, RunRequest};
use kugetsu_core::{AgentRunner as _, AgentSessionId, Retry};
use kugetsu_opencode::{GuardProgram, OpencodeConfig, OpencodeRunner};
use tempfile::TempDir;

/// A program that is not opencode, but says of itself what this script does.
fn pretender(directory: &TempDir, script: &str) -> PathBuf {
    let path = directory.path().join("opencode");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn runner(directory: &TempDir, program: impl Into<PathBuf>) -> OpencodeRunner {
    let config = OpencodeConfig::new(directory.path().join("state"))
        .with_program(program)
        .with_guard(GuardProgram::at(env!("CARGO_BIN_EXE_opencode-test-guard")));
    OpencodeRunner::new(config).unwrap()
}

#[tokio::test]
async fn a_missing_program_is_named_with_the_way_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    for program in [nowhere.clone(), directory.path().to_owned(), "no-such-program".into()] {
        let runner = runner(&directory, &program);
        let error = runner.probe().await.unwrap_err();
        assert!(matches!(error, AgentError::Missing { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(program.to_str().unwrap()) && said.contains("npm install"), "{said}");
        let refused = runner.start(RunRequest::new(directory.path(), "hello")).await.unwrap_err();
        assert_eq!(refused.to_string(), said);
    }
}

#[tokio::test]
async fn an_old_program_is_said_to_be_too_old_and_not_started() {
    let directory = tempfile::tempdir().unwrap();
    let runner = runner(&directory, pretender(&directory, "echo 1.17.3"));
    let info = runner.probe().await.unwrap();
    assert_eq!(info.version, "1.17.3");
    assert!(info.trouble.unwrap().contains("too old"));
    let refused = runner.start(RunRequest::new(directory.path(), "hello")).await.unwrap_err();
    assert!(refused.to_string().contains("too old"), "{refused}");
    assert_eq!(refused.retry(), Retry::Never);
}

#[tokio::test]
async fn another_program_is_not_taken_for_opencode() {
    let directory = tempfile::tempdir().unwrap();
    // The last one never ends by itself, and would fill the memory of whoever listens to all of it.
    for script in ["echo hello", "exit 1", "echo 1.18.33; exit 1", "exec yes 1.18.33"] {
        let error = runner(&directory, pretender(&directory, script)).probe().await.unwrap_err();
        assert!(error.to_string().contains("does not seem to be opencode"), "{script}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_come_up_says_why_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let script = "[ \"$1\" = --version ] && echo 1.18.33 && exit; echo no room >&2; exit 1";
    let runner = runner(&directory, pretender(&directory, script));
    let error = runner.start(RunRequest::new(directory.path(), "hello")).await.unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(error.retry(), Retry::Later);
    assert_eq!(fs::read_dir(directory.path().join("state/trees")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(directory.path().join("state/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn without_a_guard_nothing_is_started() {
    let directory = tempfile::tempdir().unwrap();
    let config = OpencodeConfig::new(directory.path().join("state"))
        .with_program(pretender(&directory, "echo 1.18.33"))
        .with_guard(GuardProgram::at("/nowhere/kugetsu-guard"));
    let runner = OpencodeRunner::new(config).unwrap();
    let trouble = runner.probe().await.unwrap().trouble.unwrap();
    assert!(trouble.contains("/nowhere/kugetsu-guard"), "{trouble}");
    let error = runner.start(RunRequest::new(directory.path(), "hello")).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error}");
}

#[tokio::test]
async fn looking_starts_nothing_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let script = "[ \"$1\" = --version ] || touch started; echo 1.18.33";
    let runner = runner(&directory, pretender(&directory, script));
    assert_eq!(runner.probe().await.unwrap().trouble, None);
    assert_eq!(runner.leftovers().await.unwrap(), []);
    let sessions = [(AgentSessionId::new("ses_1").unwrap(), Role::Dev)];
    assert_eq!(runner.examine_permissions(&sessions).await.unwrap(), None, "no database");
    assert_eq!(runner.mend_permissions(&sessions).await.unwrap(), None, "no database");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the program alone is there");
}
