use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Cursor, Event, Happening, Notice, NoticeKind, Notifier, Priority, Severity};
use kugetsu_core::{TaskId, Timestamp};
use kugetsu_notify::{Route, Routed};
use kugetsu_testkit::fake::RecordingNotifier;
use kugetsu_testkit::suite::NotifierFixture;

use crate::notice;

struct Everything(RecordingNotifier);

#[async_trait]
impl NotifierFixture for Everything {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(Routed::new(Arc::new(self.0.clone()), Route::all()))
    }

    async fn kept(&self) -> Vec<Notice> {
        self.0.kept()
    }
}

mod promises {
    kugetsu_testkit::notifier_conformance!(super::Everything(super::RecordingNotifier::new(
        "routed"
    )));
}

fn queued(number: u64) -> Notice {
    let task = TaskId::of_key("a task");
    let what = Happening::Enqueued { priority: Priority::default() };
    let event = Event::new(Timestamp::from_millis(1), task, None, what);
    Notice::of(&event, Cursor(number)).unwrap()
}

#[tokio::test]
async fn only_what_is_wanted_is_passed_on_and_the_rest_is_done() {
    let kept = RecordingNotifier::new("all");
    let routed = |route| Routed::new(Arc::new(kept.clone()), route);
    let severe = routed(Route::all().with_severity(Severity::Warning));
    severe.notify(&queued(1)).await.unwrap();
    severe.notify(&notice(2, "It broke.")).await.unwrap();
    let kinds = routed(Route::all().with_kinds([NoticeKind::TaskQueued]));
    kinds.notify(&queued(3)).await.unwrap();
    kinds.notify(&notice(4, "It broke.")).await.unwrap();
    assert_eq!(severe.name(), "all");
    let keys: Vec<String> = kept.kept().into_iter().map(|notice| notice.key).collect();
    assert_eq!(keys, ["event-2", "event-3"]);
}

#[tokio::test]
async fn what_is_passed_on_may_fail() {
    let kept = RecordingNotifier::new("all");
    kept.fail(1);
    let routed = Routed::new(Arc::new(kept.clone()), Route::all());
    assert!(routed.notify(&queued(1)).await.is_err());
    assert!(kept.kept().is_empty());
}
