//! All tasks, oldest first.

use kugetsu_core::{
    Change, Failure, Outcome, Priority, Report, Request, Status, Task, TaskQuery, TaskStore, Usage,
};

use super::{TaskStoreFixture, claim, enqueued, fine, made};
use crate::suite::sample::{at, issue, issue_of, task_id};

/// Tasks of several issues and of the PM in every status, in the order of their commits.
async fn several(store: &dyn TaskStore) -> Vec<Task> {
    let requests = [
        Request::dev(issue(1), "one"),
        Request::dev(issue(2), "two"),
        Request::pm("three"),
        Request::dev(issue_of("github.com/ACME/widgets", 1), "four"),
        Request::dev(issue(11), "five"),
    ];
    let mut all = vec![];
    let priorities = [0, 1, 2].into_iter().cycle();
    let requests = requests.into_iter().cycle().take(20);
    for (number, (request, priority)) in (0..).zip(requests.zip(priorities)) {
        let new = Task::new(task_id(100 - number), request, at(0));
        all.push(enqueued(store, new.with_priority(Priority(priority))).await);
    }
    for (number, task) in all.iter_mut().enumerate() {
        if number % 5 == 4 {
            *task = made(store, task, Change::Cancel, at(0)).await;
        }
        if number % 4 == 0 || task.is_settled() {
            continue;
        }
        *task = made(store, task, claim("a"), at(0)).await;
        let outcome = match number % 4 {
            1 => continue,
            2 => Outcome::Completed { report: Report::default() },
            _ => Outcome::Error { failure: Failure::fatal("it cannot be done") },
        };
        let settle =
            Change::Settle { attempt: task.last_attempt(), outcome, usage: Usage::default() };
        *task = made(store, task, settle, at(1)).await;
    }
    all
}

pub(super) async fn tasks_are_listed_in_the_order_of_their_first_commit(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    assert_eq!(fine(store.list(&TaskQuery::all()).await), []);
    let all = several(&*store).await;
    assert_eq!(fine(store.list(&TaskQuery::all()).await), all);
    assert_eq!(fine(f.open().await.list(&TaskQuery::all()).await), all);
}

pub(super) async fn a_query_lists_what_it_means_and_no_more(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let all = several(&*store).await;
    let queries = || [TaskQuery::all(), TaskQuery::open()];
    let issues = ["github.com/acme/widgets", "github.com/ACME/widgets", "github.com/acme/gadgets"]
        .map(|repository| issue_of(repository, 1));
    let statuses =
        [Status::Pending, Status::Notified, Status::Completed, Status::Error, Status::Cancelled];
    let mut asked = Vec::from(queries());
    for issue in &issues {
        asked.extend(queries().map(|query| query.with_issue(issue.clone())));
    }
    for query in asked.clone() {
        asked.extend(statuses.map(|status| query.clone().with_status(status)));
    }
    for query in asked {
        let meant: Vec<Task> = all.iter().filter(|task| query.matches(task)).cloned().collect();
        assert_eq!(fine(store.list(&query).await), meant, "{query:?}");
    }
}

pub(super) async fn a_list_ends_at_its_limit(f: &dyn TaskStoreFixture) {
    let store = f.open().await;
    let all = several(&*store).await;
    for limit in [0, 1, 7, 20, u32::MAX] {
        let found = fine(store.list(&TaskQuery::all().with_limit(limit)).await);
        assert_eq!(found, all[..all.len().min(limit as usize)], "at most {limit}");
    }
    // The limit counts what is meant, not what is looked at.
    let open: Vec<Task> = all.into_iter().filter(|task| !task.is_settled()).collect();
    let found = fine(store.list(&TaskQuery::open().with_limit(3)).await);
    assert_eq!(found, open[..3]);
}
