//! Where these tests sit: a directory of their own, a fake agent, and worktrees of sample repositories.

use std::path::PathBuf;

use kugetsu::{Builder, IssueRef, Kugetsu, Outcome, Report, Request, Task};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};
use tempfile::TempDir;

pub(crate) struct House {
    root: TempDir,
    pub(crate) agent: FakeAgent,
    worktrees: FakeWorktrees,
}

impl House {
    pub(crate) fn new() -> Self {
        let root = TempDir::with_prefix("kugetsu-embedded-").unwrap();
        let trees = root.path().canonicalize().unwrap().join("trees");
        let worktrees = FakeWorktrees::new(trees).with_samples();
        Self { root, agent: FakeAgent::new(), worktrees }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// A builder to which no more has to be given.
    pub(crate) fn in_memory(&self) -> Builder {
        // However little room there is where these tests run.
        let builder = Kugetsu::builder().admission(None);
        builder.agent(self.agent.clone()).worktrees(self.worktrees.clone())
    }

    /// The same on a directory, which is the same one each time.
    pub(crate) fn in_directory(&self) -> Builder {
        self.in_memory().directory(self.path("kugetsu"))
    }
}

pub(crate) fn issue(number: u32) -> IssueRef {
    format!("example.com/acme/widgets#{number}").parse().unwrap()
}

/// A request to do what the script says on the issue of this number.
pub(crate) fn request(number: u32, script: &str) -> Request {
    Request::dev(issue(number), format!("MODEL: {script}"))
}

/// What came of a task that was completed.
#[track_caller]
pub(crate) fn report(task: &Task) -> &Report {
    match task.outcome() {
        Some(Outcome::Completed { report }) => report,
        other => panic!("it was not completed: {other:?}"),
    }
}
