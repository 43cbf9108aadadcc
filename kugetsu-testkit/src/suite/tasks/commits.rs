//! Whole or not at all, and never over somebody else's write.

use std::pin::pin;
use std::sync::Arc;

use kugetsu_core::{
    AttemptEnd, Change, Cursor, Expected, Failure, Outcome, Priority, Report, Request, Retry,
    Revision, Task, TaskStore, Usage,
};

use super::{TaskStoreFixture, assert_conflict, changed, claim, enqueued, fine, load, made};
use crate::suite::promise::{at_once, once};
use crate::suite::sample::{HOSTILE, at, issue, millis, short, task, task_id};

pub(super) async fn a_task_committed_is_there_after_reopening(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(10)).await;
    drop(store);

    let store = f.open().await;
    assert_eq!(load(&*store, &new).await, Some(claimed.clone()));
    let renewed = made(
        &*store,
        &claimed,
        Change::Renew { attempt: claimed.last_attempt(), ttl: millis(9) },
        at(20),
    )
    .await;
    drop(store);
    assert_eq!(load(&*f.open().await, &new).await, Some(renewed));
}

pub(super) async fn a_task_comes_back_as_it_was(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let long = "long ".repeat(200_000);
    for (number, text) in (0..).zip(HOSTILE.into_iter().chain([long.as_str()])) {
        let request = match number % 2 {
            0 => Request::dev(issue(u64::MAX - number), text),
            _ => Request::pm(text),
        };
        let new = Task::new(task_id(number), request, at(number))
            .with_priority(Priority(i16::MIN))
            .with_max_attempts(u32::MAX);
        let mut task = enqueued(&*store, new).await;
        for (attempt, retry) in
            [Retry::Never, Retry::Later, Retry::After { millis: u64::MAX }].into_iter().enumerate()
        {
            let now = at(100_000 * (attempt as u64 + 1));
            task = made(&*store, &task, claim("a"), now).await;
            assert_kept(&*store, &task).await;
            let change = Change::Retry {
                attempt: task.last_attempt(),
                failure: Failure::new(text, retry),
                wait: millis(50_000),
                usage: Usage::tokens(u64::MAX, number),
            };
            task = made(&*store, &task, change, now).await;
            assert_kept(&*store, &task).await;
        }
        task = made(&*store, &task, claim("b"), at(1_000_000)).await;
        task = made(&*store, &task, Change::Cancel, at(1_000_001)).await;
        let settle = Change::Settle {
            attempt: task.last_attempt(),
            outcome: Outcome::Completed { report: report(text) },
            usage: Usage::tokens(1, 2),
        };
        task = made(&*store, &task, settle, at(1_000_002)).await;
        assert_kept(&*store, &task).await;
        assert_kept(&*f.open().await, &task).await;
    }
}

async fn assert_kept(store: &dyn TaskStore, task: &Task) {
    let Some(found) = load(store, task).await else { panic!("{} is gone", short(task)) };
    assert!(found == *task, "{} came back as {}", short(task), short(&found));
}

fn report(text: &str) -> Report {
    let mut report = Report::default();
    text.clone_into(&mut report.answer);
    "fix/issue-1".clone_into(&mut report.branch);
    report.head = Some("0".repeat(40));
    report.commits = u32::MAX;
    report
}

pub(super) async fn a_task_that_was_never_committed_is_not_there(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    assert_eq!(load(&*store, &task(0)).await, None);
    enqueued(&*store, task(1)).await;
    assert_eq!(load(&*store, &task(0)).await, None);
}

pub(super) async fn a_new_task_is_refused_where_one_is(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let first = enqueued(&*store, task(0)).await;
    let second = Task::new(first.id, Request::pm("Another one."), at(0));
    let again = store.commit(&second, Expected::Absent, &[second.enqueued(at(0))]).await;
    assert_conflict(again, &first);
    assert_eq!(load(&*store, &first).await, Some(first));
}

pub(super) async fn a_change_of_a_task_that_is_not_there_is_refused(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = task(0);
    let (claimed, told) = changed(&new, claim("a"), at(0));
    assert_conflict(store.commit(&claimed, Expected::At(Revision(1)), &told).await, &new);
    assert_eq!(load(&*store, &new).await, None);
}

pub(super) async fn a_change_of_an_outdated_revision_is_refused(f: &dyn TaskStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    let new = enqueued(&*here, task(0)).await;
    let claimed = made(&*here, &new, claim("here"), at(0)).await;
    let (late, told) = changed(&new, claim("there"), at(0));
    assert_conflict(there.commit(&late, Expected::At(new.revision), &told).await, &new);
    assert_eq!(load(&*there, &new).await, Some(claimed.clone()));

    let cancelled = made(&*there, &claimed, Change::Cancel, at(1)).await;
    let (late, told) = changed(&claimed, Change::Cancel, at(1));
    assert_conflict(here.commit(&late, Expected::At(claimed.revision), &told).await, &new);
    assert_eq!(load(&*here, &new).await, Some(cancelled));
}

pub(super) async fn of_many_changes_at_once_one_is_made(f: &dyn TaskStoreFixture) {
    let stores = [f.open().await, f.open().await];
    let mut current = enqueued(&*stores[0], task(0)).await;
    for round in 0..8 {
        let now = at(round * 100_000);
        let work = (0..16).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            let (next, told) = changed(&current, claim(&format!("worker-{number}")), now);
            let expected = Expected::At(current.revision);
            async move { store.commit(&next, expected, &told).await.map(|()| next) }
        });
        let mut winners = Vec::new();
        for done in at_once(work).await {
            match done {
                Ok(next) => winners.push(next),
                lost => assert_conflict(lost, &current),
            }
        }
        assert_eq!(winners.len(), 1, "as many have claimed one task at once");
        assert_eq!(load(&*stores[1], &current).await.as_ref(), winners.first());
        current = winners.remove(0);
    }
    let told = fine(stores[0].read(Cursor(0), 100).await);
    assert_eq!(told.len(), 9, "one event of each change that was made, and no other: {told:?}");
}

pub(super) async fn of_many_new_tasks_with_one_id_at_once_one_is_made(f: &dyn TaskStoreFixture) {
    let stores = [f.open().await, f.open().await];
    let work =
        (0..16).map(|number| {
            let store = Arc::clone(&stores[number % 2]);
            let new = Task::new(task_id(0), Request::pm(format!("Request {number}")), at(0));
            async move {
                store.commit(&new, Expected::Absent, &[new.enqueued(at(0))]).await.map(|()| new)
            }
        });
    let made: Vec<Task> = at_once(work).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(made.len(), 1, "as many were made");
    assert_eq!(load(&*stores[0], &made[0]).await.as_ref(), made.first());
    assert_eq!(fine(stores[0].read(Cursor(0), 100).await).len(), 1);
}

pub(super) async fn many_tasks_committed_at_once_are_all_there(f: &dyn TaskStoreFixture) {
    let stores = [f.open().await, f.open().await];
    let work = (0..64).map(|number| {
        let store = Arc::clone(&stores[number % 2]);
        async move { enqueued(&*store, task(number as u64)).await }
    });
    for new in at_once(work).await {
        assert_eq!(load(&*stores[0], &new).await.as_ref(), Some(&new));
    }
    assert_eq!(fine(stores[1].read(Cursor(0), 1000).await).len(), 64);
}

pub(super) async fn a_task_and_its_events_are_committed_together(f: &dyn TaskStoreFixture) {
    let (here, there) = (f.open().await, f.open().await);
    let new = enqueued(&*here, task(0)).await;
    let (claimed, mut told) = changed(&new, claim("a"), at(1));
    told.extend(super::events::chatter(&new, 3));
    fine(here.commit(&claimed, Expected::At(new.revision), &told).await);
    assert_eq!(load(&*there, &new).await, Some(claimed.clone()));
    let events: Vec<_> =
        fine(there.read(Cursor(0), 100).await).into_iter().map(|(_, event)| event).collect();
    told.insert(0, new.enqueued(at(0)));
    assert_eq!(events, told);

    // Renewing tells nothing.
    let attempt = claimed.last_attempt();
    made(&*here, &claimed, Change::Renew { attempt, ttl: millis(60_000) }, at(2)).await;
    assert_eq!(fine(there.read(Cursor(0), 100).await).len(), told.len());
}

pub(super) async fn a_refused_commit_tells_nothing(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(0)).await;
    let before = fine(store.read(Cursor(0), 100).await);

    let (late, mut told) = changed(&new, claim("b"), at(0));
    told.extend(super::events::chatter(&new, 3));
    assert_conflict(store.commit(&late, Expected::At(new.revision), &told).await, &new);
    let again = store.commit(&new, Expected::Absent, &[new.enqueued(at(0))]).await;
    assert_conflict(again, &new);
    let (unknown, told) = changed(&task(1), claim("a"), at(0));
    assert_conflict(store.commit(&unknown, Expected::At(Revision(1)), &told).await, &unknown);

    assert_eq!(fine(store.read(Cursor(0), 100).await), before);
    assert_eq!(load(&*store, &new).await, Some(claimed));
}

pub(super) async fn a_commit_that_nobody_waits_for_is_whole_or_not_there(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    for number in 0..20 {
        let new = task(number);
        let told = [new.enqueued(at(0))];
        {
            let mut commit = pin!(store.commit(&new, Expected::Absent, &told));
            for _ in 0..number % 3 {
                if once(commit.as_mut()).await.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // It may still be going on. In whichever order one looks, what is seen first has to be
        // there with what is seen next.
        assert_whole(&*store, &new, number % 2 == 0).await;
        // And the store goes on working.
        enqueued(&*store, task(1000 + number)).await;
        assert_whole(&*store, &new, number % 2 == 1).await;
    }
}

async fn assert_whole(store: &dyn TaskStore, task: &Task, task_first: bool) {
    let told = async {
        let events = fine(store.read(Cursor(0), 1000).await);
        events.iter().any(|(_, event)| event.task == task.id)
    };
    let there = async { load(store, task).await.is_some() };
    let (first, next) =
        if task_first { (there.await, told.await) } else { (told.await, there.await) };
    assert!(!first || next, "half of a commit is there (the task's half: {task_first})");
}

pub(super) async fn a_settled_task_stays_readable(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let new = enqueued(&*store, task(0)).await;
    let claimed = made(&*store, &new, claim("a"), at(0)).await;
    let failure = Failure::fatal("no such repository");
    let settle = Change::Settle {
        attempt: claimed.last_attempt(),
        outcome: Outcome::Error { failure: failure.clone() },
        usage: Usage::default(),
    };
    let settled = made(&*store, &claimed, settle, at(5)).await;
    enqueued(&*store, task(1)).await;
    let found = load(&*f.open().await, &new).await;
    assert_eq!(found, Some(settled.clone()));
    assert_eq!(settled.attempts[0].end, AttemptEnd::Failed { failure });
}
