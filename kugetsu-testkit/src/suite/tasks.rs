//! What a [`TaskStore`] and its [`EventLog`](kugetsu_core::EventLog)
//! promise.

mod commits;
mod dues;
mod events;
mod lists;
mod removes;

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Change, Event, Expected, Moment, StoreError, Task, TaskStore};

use super::promise::promises;

/// One store of tasks, empty at first.
#[async_trait]
pub trait TaskStoreFixture: Send + Sync + 'static {
    /// Opens the store. Every call opens the same one again, as another process would; a store that
    /// lives in one process only hands out the same one.
    async fn open(&self) -> Arc<dyn TaskStore>;
}

promises! {
    /// Makes a test of each promise of [`TaskStore`](kugetsu_core::TaskStore). The argument is a
    /// [`TaskStoreFixture`](crate::suite::TaskStoreFixture).
    macro task_store_conformance of tasks for dyn TaskStoreFixture ($);

    from commits {
        a_task_committed_is_there_after_reopening,
        a_task_comes_back_as_it_was,
        a_task_that_was_never_committed_is_not_there,
        a_new_task_is_refused_where_one_is,
        a_change_of_a_task_that_is_not_there_is_refused,
        a_change_of_an_outdated_revision_is_refused,
        of_many_changes_at_once_one_is_made,
        of_many_new_tasks_with_one_id_at_once_one_is_made,
        many_tasks_committed_at_once_are_all_there,
        a_task_and_its_events_are_committed_together,
        a_refused_commit_tells_nothing,
        a_commit_that_nobody_waits_for_is_whole_or_not_there,
        a_settled_task_stays_readable,
    }
    from events {
        an_empty_log_has_nothing_to_read,
        events_come_back_in_the_order_in_which_they_were_appended,
        an_event_comes_back_as_it_was,
        an_event_of_an_unknown_kind_comes_back_as_it_was,
        a_cursor_stays_valid_after_reopening,
        appending_nothing_tells_where_the_log_ends,
        reading_goes_on_behind_any_cursor,
        a_reader_who_follows_misses_nothing,
    }
    from dues {
        a_pending_task_is_due_from_its_time_on,
        a_leased_task_is_due_when_its_lease_has_lapsed,
        a_settled_task_is_never_due,
        the_pm_and_dev_agents_have_tasks_of_their_own,
        the_next_task_is_due_when_it_says,
        a_reboot_ends_every_lease,
        after_a_reboot_a_delay_ends_by_the_wall_clock,
        of_one_issue_only_the_first_open_task_is_due,
        the_first_task_of_an_issue_is_not_overtaken,
        issues_that_look_alike_have_lanes_of_their_own,
        the_most_urgent_task_is_due_first_and_then_the_oldest,
        no_more_tasks_are_due_than_were_asked_for,
        a_store_that_was_opened_before_sees_what_is_due_now,
    }
    from lists {
        tasks_are_listed_in_the_order_of_their_first_commit,
        a_query_lists_what_it_means_and_no_more,
        a_list_ends_at_its_limit,
    }
    from removes {
        a_task_that_was_removed_is_gone_and_its_events_stay,
        a_removal_of_an_outdated_revision_is_refused,
    }
}

/// Commits a new task with its event, and gives it back.
async fn enqueued(store: &dyn TaskStore, task: Task) -> Task {
    let told = task.enqueued(super::sample::at(0));
    if let Err(error) = store.commit(&task, Expected::Absent, &[told]).await {
        panic!("a new task could not be committed: {error}");
    }
    task
}

/// The task after the change, and what there is to tell.
fn changed(task: &Task, change: Change, now: Moment) -> (Task, Vec<Event>) {
    match task.apply(change, now) {
        Ok((next, told)) => (next, told.into_iter().collect()),
        Err(error) => panic!("{error}"),
    }
}

/// Makes a change and commits it, and gives back the task as it is then.
async fn made(store: &dyn TaskStore, task: &Task, change: Change, now: Moment) -> Task {
    let (next, told) = changed(task, change, now);
    if let Err(error) = store.commit(&next, Expected::At(task.revision), &told).await {
        panic!("a change could not be committed: {error}");
    }
    next
}

fn claim(worker: &str) -> Change {
    Change::Claim { worker: super::sample::worker(worker), ttl: super::sample::millis(60_000) }
}

async fn load(store: &dyn TaskStore, task: &Task) -> Option<Task> {
    fine(store.load(task.id).await)
}

fn fine<T>(done: Result<T, StoreError>) -> T {
    done.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

fn assert_conflict<T: std::fmt::Debug>(done: Result<T, StoreError>, of: &Task) {
    match done {
        Err(StoreError::Conflict { task }) => assert_eq!(task, of.id, "the conflict's task"),
        other => panic!("instead of a conflict there was {other:?}"),
    }
}
