//! What a [`Notifier`] promises.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentEvent, Cursor, Event, Failure, Happening, Notice, Notifier, Outcome, Report, Request,
    Task, WorkerId,
};

use super::promise::{at_once, promises};
use super::sample::{HOSTILE, at, issue, short, task, task_id, worker};

/// One place to which notices are brought, with none in it at first.
#[async_trait]
pub trait NotifierFixture: Send + Sync + 'static {
    /// Opens the notifier. Every call opens one that brings to the same place, as another process
    /// would have it; a notifier that keeps notices in one process only is the same one.
    async fn open(&self) -> Arc<dyn Notifier>;

    /// The notices that are in that place now, in the order in which they were brought.
    async fn kept(&self) -> Vec<Notice>;
}

promises! {
    /// Makes a test of each promise of [`Notifier`](kugetsu_core::Notifier). The argument is a
    /// [`NotifierFixture`](crate::suite::NotifierFixture).
    macro notifier_conformance of notices for dyn NotifierFixture ($);

    from self {
        a_notifier_keeps_its_name,
        a_notice_that_was_brought_is_there_after_reopening,
        a_notice_comes_as_it_was,
        notices_come_in_their_order,
        a_notice_that_comes_again_is_kept_once,
        notices_brought_at_once_are_all_there,
    }
}

/// A notice of each kind, with this text in it where an agent may write some.
fn notices(text: &str, first: u64) -> Vec<Notice> {
    let task = task(0);
    let worker: WorkerId = worker("host-1-0");
    let asked = AgentEvent::Asked { question: "q".into(), text: text.into(), refused: true };
    let mut report = Report::default();
    text.clone_into(&mut report.answer);
    let failure = Failure::fatal(text);
    let session = super::sample::named("ses_1".parse());
    let whats = [
        Happening::Enqueued { priority: task.priority },
        Happening::Claimed { worker, attempt: kugetsu_core::Attempt(2) },
        Happening::SessionReady { session, how: text.into() },
        Happening::Agent(asked),
        Happening::Settled { outcome: Outcome::Completed { report } },
        Happening::Settled { outcome: Outcome::Error { failure } },
        Happening::Settled { outcome: Outcome::Cancelled },
    ];
    let pm = Task::new(task_id(1), Request::pm("Plan it."), at(0));
    let events = (first..).zip(whats).map(|(number, what)| {
        let (id, issue) = match number % 3 {
            0 => (pm.id, None),
            _ => (task.id, Some(issue(number + 1))),
        };
        (Cursor(number), Event::new(at(number).at, id, issue, what))
    });
    let notices: Vec<Notice> =
        events.filter_map(|(cursor, event)| Notice::of(&event, cursor)).collect();
    assert_eq!(notices.len(), 7, "each of these is worth a notice");
    notices
}

async fn bring(notifier: &dyn Notifier, notice: &Notice) {
    if let Err(error) = notifier.notify(notice).await {
        panic!("{} was not brought: {error}", short(notice));
    }
}

async fn assert_kept(f: &dyn NotifierFixture, wanted: &[Notice]) {
    let kept = f.kept().await;
    for (kept, wanted) in kept.iter().zip(wanted) {
        assert!(kept == wanted, "{} came as {}", short(wanted), short(kept));
    }
    assert_eq!(kept.len(), wanted.len(), "so many notices were kept");
}

async fn a_notifier_keeps_its_name(f: &dyn NotifierFixture) {
    let (here, there) = (f.open().await, f.open().await);
    assert!(!here.name().trim().is_empty());
    assert_eq!(here.name(), there.name());
    assert_kept(f, &[]).await;
}

async fn a_notice_that_was_brought_is_there_after_reopening(f: &dyn NotifierFixture) {
    let mut brought = vec![];
    for notice in notices("Done.", 1) {
        let notifier = f.open().await;
        bring(&*notifier, &notice).await;
        drop(notifier);
        brought.push(notice);
        assert_kept(f, &brought).await;
    }
}

async fn a_notice_comes_as_it_was(f: &dyn NotifierFixture) {
    let notifier = f.open().await;
    let long = "long ".repeat(2_000);
    let mut brought = vec![];
    for (number, text) in (0..).zip(HOSTILE.into_iter().chain([long.as_str()])) {
        for notice in notices(text, 1 + number * 10) {
            bring(&*notifier, &notice).await;
            brought.push(notice);
        }
    }
    assert_kept(f, &brought).await;
}

async fn notices_come_in_their_order(f: &dyn NotifierFixture) {
    let notifiers = [f.open().await, f.open().await];
    let mut brought = vec![];
    for round in 0..10 {
        for (number, notice) in notices("Done.", 1 + round * 10).into_iter().enumerate() {
            bring(&*notifiers[number % 2], &notice).await;
            brought.push(notice);
        }
    }
    assert_kept(f, &brought).await;
}

async fn a_notice_that_comes_again_is_kept_once(f: &dyn NotifierFixture) {
    let notifier = f.open().await;
    let brought = notices("Done.", 1);
    for notice in &brought {
        bring(&*notifier, notice).await;
        bring(&*notifier, notice).await;
    }
    // After a crash everything since the last cursor comes again.
    let notifier = f.open().await;
    for notice in &brought {
        bring(&*notifier, notice).await;
    }
    assert_kept(f, &brought).await;
}

async fn notices_brought_at_once_are_all_there(f: &dyn NotifierFixture) {
    let notifiers = [f.open().await, f.open().await];
    let all: Vec<Notice> = (0..8).flat_map(|round| notices("Done.", 1 + round * 10)).collect();
    // Each of them twice.
    let work = all.iter().chain(&all).cloned().enumerate().map(|(number, notice)| {
        let notifier = Arc::clone(&notifiers[number % 2]);
        async move { bring(&*notifier, &notice).await }
    });
    at_once(work).await;
    let kept: Vec<String> = f.kept().await.into_iter().map(|notice| notice.key).collect();
    let keys = |notices: &[Notice]| notices.iter().map(|n| n.key.clone()).collect::<BTreeSet<_>>();
    assert_eq!(kept.iter().cloned().collect::<BTreeSet<_>>(), keys(&all));
    assert_eq!(kept.len(), all.len(), "a notice was kept twice: {kept:?}");
}
