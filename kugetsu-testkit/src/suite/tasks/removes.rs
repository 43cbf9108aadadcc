//! Forgetting tasks.

use kugetsu_core::{Change, Cursor, Role, Task, TaskQuery};

use super::{TaskStoreFixture, assert_conflict, enqueued, fine, load, made};
use crate::suite::sample::{at, task};

pub(super) async fn a_task_that_was_removed_is_gone_and_its_events_stay(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let first = enqueued(&*store, task(0)).await;
    let next = enqueued(&*store, Task::new(task(1).id, first.request.clone(), at(0))).await;
    let first = made(&*store, &first, Change::Cancel, at(0)).await;
    fine(store.remove(first.id, first.revision).await);
    let left = std::slice::from_ref(&next);
    for store in [store, f.open().await] {
        assert_eq!(load(&*store, &first).await, None);
        assert_eq!(fine(store.list(&TaskQuery::all()).await), left);
        assert_eq!(fine(store.due(at(0), Role::Dev, 9).await), left);
        assert_eq!(fine(store.read(Cursor(0), 9).await).len(), 3, "what was told stays told");
        assert_conflict(store.remove(first.id, first.revision).await, &first);
    }
    // Its id is free again.
    let store = f.open().await;
    assert_eq!(enqueued(&*store, task(0)).await, task(0));
}

pub(super) async fn a_removal_of_an_outdated_revision_is_refused(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let before = enqueued(&*store, task(0)).await;
    let after = made(&*store, &before, Change::Cancel, at(0)).await;
    assert_conflict(store.remove(before.id, before.revision).await, &before);
    assert_eq!(load(&*f.open().await, &after).await, Some(after));
}
