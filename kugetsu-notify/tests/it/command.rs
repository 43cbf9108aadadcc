use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError, Retry};
use kugetsu_notify::CommandNotifier;
use kugetsu_testkit::suite::NotifierFixture;
use tempfile::TempDir;

use crate::notice;

/// A program that keeps what it reads, one line of each key.
const KEEP: &str = r#"
line=$(cat)
key=${line#*\"key\":\"}
key=${key%%\"*}
mkdir "$1/$key" 2>/dev/null || exit 0
printf '%s\n' "$line" >>"$1/kept"
"#;

struct Program {
    home: TempDir,
}

impl Program {
    fn new(script: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("program");
        std::fs::write(&path, script).unwrap();
        Self { home }
    }

    fn notifier(&self) -> CommandNotifier {
        let program = self.home.path().join("program");
        // Not started itself: a process that another test starts just now may have it open still.
        CommandNotifier::new("program", "/bin/sh")
            .with_arguments([program.as_path(), self.home.path()])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

#[async_trait]
impl NotifierFixture for Program {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(self.notifier())
    }

    async fn kept(&self) -> Vec<Notice> {
        let kept = std::fs::read_to_string(self.file("kept")).unwrap_or_default();
        kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

mod promises {
    kugetsu_testkit::notifier_conformance!(super::Program::new(super::KEEP));
}

async fn told(script: &str) -> NotifyError {
    Program::new(script).notifier().notify(&notice(1, "It broke.")).await.unwrap_err()
}

#[tokio::test]
async fn the_exit_code_says_whether_to_try_again() {
    let refused = told("echo first >&2; echo '  not for me ' >&2; echo >&2; exit 65").await;
    assert!(matches!(refused, NotifyError::Refused { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), "program refused the notice: not for me");
    let silent = told("exit 65").await;
    assert_eq!(silent.to_string(), "program refused the notice: it exited with 65");
    let passing = told("echo out; echo 'no network' >&2; exit 3").await;
    assert_eq!(passing.retry(), Retry::Later);
    assert!(passing.to_string().ends_with("sh: it exited with 3: no network"), "{passing}");
    let killed = told("kill -9 $$").await;
    assert!(killed.to_string().ends_with("signal 9 ended it"), "{killed}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_sinks_fault() {
    let error = CommandNotifier::new("gone", "/nowhere/at/all").notify(&notice(1, "x")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, NotifyError::Backend { retry: Retry::Never, .. }), "{error:?}");
    assert!(error.to_string().starts_with("gone could not run /nowhere/at/all: "), "{error}");
}

#[tokio::test]
async fn a_program_that_reads_nothing_and_says_a_lot_is_no_trouble() {
    let huge = "long ".repeat(200_000);
    let quiet = Program::new("exec true");
    quiet.notifier().notify(&notice(1, &huge)).await.unwrap();
    // More than any pipe holds, on both of its outputs, and before it reads.
    let loud = Program::new(
        "yes | head -c 1000000; yes | head -c 1000000 >&2; echo last >&2; cat >/dev/null; exit 1",
    );
    let error = loud.notifier().notify(&notice(1, &huge)).await.unwrap_err().to_string();
    assert!(error.ends_with("it exited with 1: last"), "{error}");
    // What is left of a line that is longer than what is kept.
    let long = told("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1").await.to_string();
    assert!(long.len() < 1000, "{} bytes", long.len());
}

#[tokio::test]
async fn a_program_that_takes_too_long_ends_with_all_that_it_has_started() {
    let script = "trap '' TERM; sleep 1000 & echo $! >\"$1/child\"; echo $$ >\"$1/own\"; wait";
    let program = Program::new(script);
    let slow = program.notifier().with_limit(Duration::from_secs(1));
    let error = slow.notify(&notice(1, "x")).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
    assert!(error.to_string().ends_with("it was ended after 1 s"), "{error}");
    gone(&program.file("own")).await;
    gone(&program.file("child")).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it_and_is_not_waited_for() {
    let program = Program::new("sleep 1000 & echo $! >\"$1/child\"");
    program.notifier().notify(&notice(1, "x")).await.unwrap();
    gone(&program.file("child")).await;
}

#[tokio::test]
async fn whoever_waits_no_longer_leaves_nothing_behind() {
    let program = Program::new("sleep 1000 & echo $! >\"$1/c\"; mv \"$1/c\" \"$1/child\"; wait");
    let notifier = program.notifier();
    let waiting = tokio::spawn(async move { notifier.notify(&notice(1, "x")).await });
    until(|| program.file("child").exists()).await;
    waiting.abort();
    gone(&program.file("child")).await;
}

/// Waits until the process whose id is in the file is not alive any more.
async fn gone(file: &Path) {
    let pid = std::fs::read_to_string(file).unwrap().trim().to_owned();
    until(|| {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = state.rsplit(')').next().unwrap_or_default().trim();
        state.is_empty() || state.starts_with('Z') || state.starts_with('X')
    })
    .await;
}

async fn until(holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("it never came so far");
}
