//! Which tasks may be claimed, and in which order.

use std::slice;

use kugetsu_core::{
    Change, Failure, Moment, Outcome, Priority, Request, Role, Task, TaskStore, Usage,
};

use super::{TaskStoreFixture, claim, enqueued, fine, made};
use crate::suite::sample::{at, issue, issue_of, millis, on_boot, task, task_id};

async fn due(store: &dyn TaskStore, now: Moment) -> Vec<Task> {
    fine(store.due(now, Role::Dev, 1000).await)
}

/// The task, claimed and given up at `now` for `wait` milliseconds.
async fn retried(store: &dyn TaskStore, task: &Task, now: Moment, wait: u64) -> Task {
    let claimed = made(store, task, claim("a"), now).await;
    let change = Change::Retry {
        attempt: claimed.last_attempt(),
        failure: Failure::passing("it was busy"),
        wait: millis(wait),
        usage: Usage::default(),
    };
    made(store, &claimed, change, now).await
}

async fn settled(store: &dyn TaskStore, task: &Task, now: Moment) -> Task {
    let settle = Change::Settle {
        attempt: task.last_attempt(),
        outcome: Outcome::Cancelled,
        usage: Usage::default(),
    };
    made(store, task, settle, now).await
}

pub(super) async fn a_pending_task_is_due_from_its_time_on(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    assert_eq!(due(&*store, at(0)).await, slice::from_ref(&new));
    let waiting = retried(&*store, &new, at(10), 500).await;
    assert_eq!(due(&*store, at(10)).await, []);
    assert_eq!(due(&*store, at(509)).await, []);
    assert_eq!(due(&*store, at(510)).await, slice::from_ref(&waiting));
    assert_eq!(due(&*f.open().await, at(1_000_000)).await, [waiting]);
}

pub(super) async fn a_leased_task_is_due_when_its_lease_has_lapsed(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(0)).await;
    assert_eq!(due(&*store, at(0)).await, []);
    assert_eq!(due(&*store, at(59_999)).await, []);
    let renew = Change::Renew { attempt: claimed.last_attempt(), ttl: millis(60_000) };
    let renewed = made(&*store, &claimed, renew, at(50_000)).await;
    assert_eq!(due(&*store, at(60_000)).await, []);
    assert_eq!(due(&*store, at(109_999)).await, []);
    assert_eq!(due(&*store, at(110_000)).await, [renewed]);
}

pub(super) async fn the_pm_and_dev_agents_have_tasks_of_their_own(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let for_pm = |n| Task::new(task_id(n), Request::pm("what is open?"), at(0));
    let first = enqueued(&*store, for_pm(1)).await;
    let dev = enqueued(&*store, task(2)).await;
    enqueued(&*store, for_pm(3)).await;
    assert_eq!(due(&*store, at(0)).await, [dev]);
    assert_eq!(fine(store.due(at(0), Role::Pm, 1000).await), [first]);
}

pub(super) async fn the_next_task_is_due_when_it_says(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let next = async |now| fine(store.next_due(now, Role::Dev).await);
    assert_eq!(next(at(0)).await, None);
    let late = enqueued(&*store, task(0)).await;
    assert!(next(at(0)).await.is_some_and(|due| due.reached(at(0))));
    let late = retried(&*store, &late, at(10), 5000).await;
    let soon = enqueued(&*store, task(1)).await;
    let soon = retried(&*store, &soon, at(20), 300).await;
    assert_eq!(next(at(20)).await, soon.due());
    assert_eq!(fine(store.next_due(at(20), Role::Pm).await), None);
    let soon = made(&*store, &soon, claim("a"), at(320)).await;
    settled(&*store, &soon, at(330)).await;
    assert_eq!(next(at(330)).await, late.due());
    // After a reboot the wall clock is all there is.
    let rebooted = on_boot(2, 5009);
    assert_eq!(next(rebooted).await, late.due());
}

pub(super) async fn a_settled_task_is_never_due(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(0)).await;
    settled(&*store, &claimed, at(1)).await;
    let other = enqueued(&*store, task(1)).await;
    made(&*store, &other, Change::Cancel, at(1)).await;
    assert_eq!(due(&*store, at(2)).await, []);
    assert_eq!(due(&*store, at(1_000_000_000)).await, []);
    assert_eq!(due(&*store, on_boot(2, 1_000_000_000)).await, []);
}

pub(super) async fn a_reboot_ends_every_lease(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(1000)).await;
    assert_eq!(due(&*store, at(1001)).await, []);
    drop(store);
    // Not even a wall clock that has jumped back keeps it.
    assert_eq!(due(&*f.open().await, on_boot(2, 0)).await, [claimed]);
}

pub(super) async fn after_a_reboot_a_delay_ends_by_the_wall_clock(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let waiting = retried(&*store, &new, at(1000), 500).await;
    drop(store);
    let store = f.open().await;
    let mut early = on_boot(2, 1499);
    // The new boot's own clock says nothing about the old one's.
    early.tick.millis = u64::MAX;
    assert_eq!(due(&*store, early).await, []);
    let mut later = on_boot(3, 1500);
    later.tick.millis = 0;
    assert_eq!(due(&*store, later).await, [waiting]);
}

pub(super) async fn of_one_issue_only_the_first_open_task_is_due(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let message =
        |number, text: &str| Task::new(task_id(number), Request::dev(issue(1), text), at(0));
    let first = enqueued(&*store, message(9, "first")).await;
    let second = enqueued(&*store, message(8, "second")).await;
    let third = enqueued(&*store, message(7, "third")).await;
    assert_eq!(due(&*store, at(0)).await, slice::from_ref(&first));

    let first = made(&*store, &first, claim("a"), at(0)).await;
    assert_eq!(due(&*store, at(1)).await, []);
    settled(&*store, &first, at(2)).await;
    assert_eq!(due(&*store, at(2)).await, slice::from_ref(&second));
    made(&*store, &second, Change::Cancel, at(3)).await;
    assert_eq!(due(&*f.open().await, at(3)).await, [third]);
}

pub(super) async fn the_first_task_of_an_issue_is_not_overtaken(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let urgent = Task::new(task_id(1), new.request.clone(), at(0)).with_priority(Priority(100));
    enqueued(&*store, urgent).await;
    let waiting = retried(&*store, &new, at(0), 500).await;
    assert_eq!(due(&*store, at(499)).await, [], "a later message went first");
    assert_eq!(due(&*store, at(500)).await, [waiting]);
}

pub(super) async fn issues_that_look_alike_have_lanes_of_their_own(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let alike = [
        "github.com/a/b-c",
        "github.com/a-b/c",
        "github.com/a_b/c",
        "github.com/A/b-c",
        "github.com/a/b/c",
        "github.com/a.b/c",
        "github.com:443/a/b-c",
    ];
    let mut all = vec![];
    for (number, repository) in (0..).zip(alike) {
        let request = Request::dev(issue_of(repository, 1), "Fix it.");
        all.push(enqueued(&*store, Task::new(task_id(number), request, at(0))).await);
    }
    assert_eq!(due(&*store, at(0)).await, all);
}

pub(super) async fn the_most_urgent_task_is_due_first_and_then_the_oldest(
    f: &dyn TaskStoreFixture,
) {
    let store = f.open().await;
    let priorities = [0, -5, 7, 0, i16::MAX, 7, i16::MIN, 10, 0];
    let mut all = vec![];
    for (number, priority) in (0..).zip(priorities) {
        // Neither the ids nor the times say which is the oldest: the order of the commits does.
        let request = Request::dev(issue(100 - number), "Fix it.");
        let new = Task::new(task_id(100 - number), request, at(0));
        all.push(enqueued(&*store, new.with_priority(Priority(priority))).await);
    }
    // A change does not make a task younger.
    let release = Change::Release {
        attempt: kugetsu_core::Attempt(1),
        reason: "drained".into(),
        usage: Usage::default(),
    };
    let claimed = made(&*store, &all[0], claim("a"), at(0)).await;
    all[0] = made(&*store, &claimed, release, at(0)).await;
    all.sort_by_key(|task| std::cmp::Reverse(task.priority));
    assert_eq!(due(&*store, at(0)).await, all);
    assert_eq!(due(&*f.open().await, at(0)).await, all);
}

pub(super) async fn no_more_tasks_are_due_than_were_asked_for(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let mut all = vec![];
    // Those that are not due come first, and must not use up the limit.
    for number in 0..10 {
        let new = enqueued(&*store, task(number).with_priority(Priority(9))).await;
        made(&*store, &new, claim("a"), at(0)).await;
        let behind = Task::new(task_id(100 + number), new.request, at(0));
        enqueued(&*store, behind.with_priority(Priority(9))).await;
    }
    for number in 10..30 {
        all.push(enqueued(&*store, task(number)).await);
    }
    for limit in [0, 1, 2, 19, 20, 21, u32::MAX] {
        let found = fine(store.due(at(1), Role::Dev, limit).await);
        assert_eq!(found, all[..all.len().min(limit as usize)], "at most {limit}");
    }
}

pub(super) async fn a_store_that_was_opened_before_sees_what_is_due_now(f: &dyn TaskStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    assert_eq!(due(&*there, at(0)).await, []);
    let new = enqueued(&*here, task(0)).await;
    assert_eq!(due(&*there, at(0)).await, slice::from_ref(&new));
    made(&*there, &new, claim("there"), at(0)).await;
    assert_eq!(due(&*here, at(0)).await, []);
}
