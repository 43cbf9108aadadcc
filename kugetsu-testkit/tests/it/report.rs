//! What a program that checks a backend is told.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{MemoStore, MemoryStore, StoreError};
use kugetsu_testkit::suite::{
    self, AgentRunnerFixture, MemoStoreFixture, Report, Verdict, agents, memos,
};

use crate::suites::agent::Fake;

/// A store of memos that keeps each text shortened, and says so on a terminal.
#[derive(Debug, Clone, Default)]
struct Boastful {
    inner: MemoryStore,
    refuses: bool,
}

#[async_trait]
impl MemoStoreFixture for Boastful {
    async fn open(&self) -> Arc<dyn MemoStore> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl MemoStore for Boastful {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.inner.memo(name).await
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        if self.refuses {
            let store = "\u{1b}[2J\u{202e}boast\nkept    all of it".into();
            return Err(StoreError::Damaged { store, detail: "?".into() });
        }
        self.inner.set_memo(name, text.map(str::trim)).await
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.inner.memos(prefix).await
    }
}

async fn examined(refuses: bool) -> Report {
    let fixture =
        async || Box::new(Boastful { refuses, ..Boastful::default() }) as Box<dyn MemoStoreFixture>;
    suite::examine(memos::PROMISES, fixture).await
}

#[tokio::test]
async fn a_report_says_of_each_promise_what_came_of_it() {
    let report = examined(false).await;
    let names: Vec<_> = report.checks().iter().map(|check| check.promise).collect();
    assert_eq!(names, memos::PROMISES.iter().map(|promise| promise.name).collect::<Vec<_>>());
    assert_eq!((report.kept(), report.broken(), report.not_applicable()), (6, 1, 0));
    assert!(!report.all_kept());
    insta::assert_snapshot!(report, @r#"
    kept    a memo is there after reopening
    BROKEN  a memo comes back as it was
            assertion `left == right` failed: "3/two\nlines\r\nand\ttabs \n\n"
              left: Some("two\nlines\r\nand\ttabs")
             right: Some("two\nlines\r\nand\ttabs \n\n")
    kept    a memo that was never set is not there
    kept    a memo is replaced by the next of its name
    kept    a memo that was forgotten is gone
    kept    memos are found by the beginning of their names
    kept    of many memos of one name at once one stays whole

    6 kept, 1 broken, 0 not applicable
    "#);
}

#[tokio::test]
async fn what_a_backend_says_does_not_act_on_the_terminal_and_looks_like_no_verdict() {
    let report = examined(true).await;
    assert_eq!((report.kept(), report.broken()), (0, 7));
    let Verdict::Broken { seen } = &report.checks()[0].verdict else { panic!("{report}") };
    assert!(seen.contains('\u{1b}'), "what was seen is there as it was: {seen:?}");
    insta::assert_snapshot!(report.checks()[0], @r"
    BROKEN  a memo is there after reopening
            the store failed: \u{1b}[2J\u{202e}boast
            kept    all of it is damaged: ?
    ");
}

#[tokio::test]
async fn what_a_backend_cannot_do_and_refuses_is_not_applicable() {
    let fixture = async || Box::new(Fake::simple()) as Box<dyn AgentRunnerFixture>;
    let report = suite::examine(agents::PROMISES, fixture).await;
    assert!(report.all_kept(), "{report}");
    let whys = report.checks().iter().filter_map(|check| match &check.verdict {
        Verdict::NotApplicable { why } => Some(format!("{}: {why}", check.sentence())),
        _ => None,
    });
    insta::assert_snapshot!(whys.collect::<Vec<_>>().join("\n"), @r"
    a session that is resumed remembers: the agent says that it cannot resume
    a session is resumed after reopening: the agent says that it cannot resume
    a session is resumed in its own directory only: the agent says that it cannot resume
    a session that is not there is refused: the agent says that it can neither resume nor fork
    a fork knows what its origin knows: the agent says that it cannot fork
    a fork leaves its origin as it was: the agent says that it cannot fork
    sixteen forks at once are sixteen sessions: the agent says that it cannot fork
    a session made is described: the runner has no sessions but those of its runs
    a session made is resumed in its directory: the runner has no sessions but those of its runs
    a session made knows its briefing: the runner has no sessions but those of its runs
    a copy of a session knows what it knows: the runner has no sessions but those of its runs
    sixteen copies at once are sixteen sessions: the runner has no sessions but those of its runs
    a session deleted is gone: the runner has no sessions but those of its runs
    deleting what is not there is done already: the runner has no sessions but those of its runs
    ");
}

#[tokio::test]
async fn a_fixture_that_fails_breaks_its_promise_and_no_other() {
    let made = std::sync::atomic::AtomicUsize::new(0);
    let fixture = async || {
        let number = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(number != 2, "the third place cannot be had");
        Box::<Boastful>::default() as Box<dyn MemoStoreFixture>
    };
    let report = suite::examine(memos::PROMISES, fixture).await;
    let third = Verdict::Broken { seen: "the third place cannot be had".into() };
    assert_eq!(report.checks()[2].verdict, third);
    assert_eq!(report.kept(), 5);
}

/// Whoever runs it as its own program sees what the panic hook tells.
#[test]
fn examining_tells_the_panic_hook_nothing_and_others_tell_it_as_ever() {
    const INSIDE: &str = "KUGETSU_TEST_REPORT_INSIDE";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if std::env::var_os(INSIDE).is_some() {
        let report = runtime.block_on(examined(true));
        assert_eq!(report.broken(), 7);
        panic!("somebody else");
    }
    let name = "report::examining_tells_the_panic_hook_nothing_and_others_tell_it_as_ever";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stderr);
    assert!(told.contains("somebody else"), "{told}");
    assert_eq!(told.matches("panicked at").count(), 1, "{told}");
}
