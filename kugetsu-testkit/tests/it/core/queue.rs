//! The queue's own decisions, over the strict store.

use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{
    Attempt, AttemptEnd, Failure, IllegalChange, Outcome, QueueError, Queued, Report, Request,
    Role, Status, Task, TaskId, TaskQuery, TaskQueue, TaskState, Usage, WorkerId,
};
use kugetsu_testkit::fake::{ManualClock, SeededChance, StrictStore};

const TTL: Duration = Duration::from_mins(1);

struct Desk {
    queue: TaskQueue,
    clock: ManualClock,
}

fn desk() -> Desk {
    let clock = ManualClock::new();
    let store = StrictStore::new(Arc::new(MemoryStore::new()));
    let chance = Arc::new(SeededChance::new(7));
    Desk { queue: TaskQueue::new(Arc::new(store), Arc::new(clock.clone()), chance), clock }
}

fn request(number: u32) -> Request {
    let issue = format!("github.com/acme/widgets#{number}").parse().unwrap();
    Request::dev(issue, "Fix it.")
}

impl Desk {
    async fn enqueued(&self, number: u32) -> Task {
        let task = self.queue.task(request(number));
        assert_eq!(self.queue.enqueue(&task).await.unwrap(), Queued::New);
        task
    }

    /// Claims whatever is next once it is due.
    async fn claimed(&self, role: Role) -> Task {
        self.clock.advance(Duration::from_mins(10));
        let worker = WorkerId::new("a").unwrap();
        self.queue.claim(role, &worker, TTL).await.unwrap().expect("a task is due")
    }

    async fn failed(&self, failure: Failure) -> Task {
        let task = self.claimed(Role::Dev).await;
        self.queue.fail(task.id, task.last_attempt(), failure, Usage::tokens(1, 1)).await.unwrap()
    }
}

fn error(task: &Task) -> &str {
    match &task.state {
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => &failure.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn asking_twice_under_one_key_is_asking_once() {
    let desk = desk();
    let first = desk.queue.keyed_task("telegram-1", request(1));
    assert_eq!(first.id, TaskId::of_key("telegram-1"));
    assert_eq!(desk.queue.enqueue(&first).await.unwrap(), Queued::New);
    desk.clock.advance(TTL);
    let again = desk.queue.keyed_task("telegram-1", request(1));
    let Queued::Already(stored) = desk.queue.enqueue(&again).await.unwrap() else {
        panic!("it was stored twice")
    };
    assert_eq!(*stored, first);
    // However it has ended meanwhile.
    desk.queue.cancel(first.id).await.unwrap();
    assert!(matches!(desk.queue.enqueue(&again).await.unwrap(), Queued::Already(_)));
    let other = desk.queue.keyed_task("telegram-1", request(2));
    let taken = desk.queue.enqueue(&other).await.unwrap_err();
    assert!(matches!(taken, QueueError::KeyTaken { task } if task == first.id), "{taken:?}");
    let other = desk.queue.keyed_task("telegram-2", request(2));
    assert_eq!(desk.queue.enqueue(&other).await.unwrap(), Queued::New);
    assert_eq!(desk.queue.store().list(&TaskQuery::all()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_agent_gets_as_many_tasks_as_it_may_ask_for() {
    let desk = desk();
    let pm = desk.queue.task(Request::pm("Plan it."));
    desk.queue.enqueue(&pm).await.unwrap();
    let task = desk.queue.task(request(1));
    let idle = desk.queue.delegate(pm.id, 2, &task).await.unwrap_err();
    assert!(matches!(idle, QueueError::Refused { source: IllegalChange::State { .. }, .. }));
    let running = desk.claimed(Role::Pm).await;
    for number in 1..=2 {
        let task = desk.queue.task(request(number));
        assert_eq!(desk.queue.delegate(pm.id, 2, &task).await.unwrap(), Queued::New);
        assert_eq!(desk.queue.load(task.id).await.unwrap().asked_by, Some(pm.id));
    }
    let more = desk.queue.delegate(pm.id, 2, &desk.queue.task(request(3))).await.unwrap_err();
    let allowance = IllegalChange::Allowance { most: 2 };
    assert!(matches!(more, QueueError::Refused { source, .. } if source == allowance), "{more:?}");
    // Its worker goes on all the same.
    desk.queue.renew(pm.id, running.last_attempt(), TTL).await.unwrap();
    let outcome = Outcome::Completed { report: Report::default() };
    let usage = Usage::default();
    desk.queue.settle(pm.id, running.last_attempt(), outcome, usage).await.unwrap();
    let late = desk.queue.delegate(pm.id, 9, &desk.queue.task(request(3))).await.unwrap_err();
    assert!(matches!(late, QueueError::Refused { source: IllegalChange::State { .. }, .. }));
    assert_eq!(desk.queue.store().list(&TaskQuery::all()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_key_that_is_known_costs_an_agent_nothing() {
    let desk = desk();
    let pm = desk.queue.task(Request::pm("Plan it."));
    desk.queue.enqueue(&pm).await.unwrap();
    desk.claimed(Role::Pm).await;
    let task = desk.queue.keyed_task("k", request(1));
    assert_eq!(desk.queue.delegate(pm.id, 1, &task).await.unwrap(), Queued::New);
    assert!(matches!(desk.queue.delegate(pm.id, 1, &task).await.unwrap(), Queued::Already(_)));
    assert_eq!(desk.queue.load(pm.id).await.unwrap().delegated, 1);
}

#[tokio::test]
async fn many_who_ask_at_once_for_one_agent_get_no_more_than_it_may() {
    let desk = desk();
    let pm = desk.queue.task(Request::pm("Plan it."));
    desk.queue.enqueue(&pm).await.unwrap();
    desk.claimed(Role::Pm).await;
    let asking = (1..=30).map(|number| {
        let (queue, task, pm) = (desk.queue.clone(), desk.queue.task(request(number)), pm.id);
        tokio::spawn(async move { queue.delegate(pm, 20, &task).await.is_ok() })
    });
    let asking: Vec<_> = asking.collect();
    let mut got = 0;
    for asked in asking {
        got += usize::from(asked.await.unwrap());
    }
    assert_eq!(got, 20);
    let dev = desk.queue.store().list(&TaskQuery::all()).await.unwrap();
    assert_eq!(dev.iter().filter(|task| task.asked_by == Some(pm.id)).count(), 20);
}

#[tokio::test]
async fn what_is_settled_long_enough_is_cleared_and_nothing_else() {
    let desk = desk();
    let old = desk.enqueued(1).await;
    let young = desk.enqueued(2).await;
    let open = desk.enqueued(3).await;
    desk.queue.cancel(old.id).await.unwrap();
    desk.clock.advance(Duration::from_hours(24 * 7));
    desk.queue.cancel(young.id).await.unwrap();
    assert_eq!(desk.queue.clear(Duration::from_hours(24 * 7)).await.unwrap(), 1);
    let left = desk.queue.store().list(&TaskQuery::all()).await.unwrap();
    assert_eq!(left.iter().map(|task| task.id).collect::<Vec<_>>(), [young.id, open.id]);
    assert_eq!(desk.queue.clear(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(desk.queue.store().list(&TaskQuery::all()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn three_different_failures_use_up_a_task() {
    let desk = desk();
    let task = desk.enqueued(1).await;
    for number in 1..=2 {
        let waiting = desk.failed(Failure::passing(format!("failure {number}"))).await;
        assert_eq!(waiting.status(), Status::Pending);
    }
    let over = desk.failed(Failure::passing("failure 3")).await;
    assert_eq!(error(&over), "failure 3");
    assert_eq!((over.id, over.attempts.len()), (task.id, 3));
    assert_eq!(over.usage(), Usage::tokens(3, 3), "each attempt's usage is kept");
    let reasons = over.attempts.iter().map(|attempt| match &attempt.end {
        AttemptEnd::Failed { failure } => failure.reason.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["failure 1", "failure 2", "failure 3"]);
}

#[tokio::test]
async fn three_equal_failures_in_a_row_stop_the_retries_and_say_so() {
    let desk = desk();
    let many = desk.queue.task(request(1)).with_max_attempts(10);
    desk.queue.enqueue(&many).await.unwrap();
    for reason in ["other", "same", "same"] {
        assert_eq!(desk.failed(Failure::passing(reason)).await.status(), Status::Pending);
    }
    let over = desk.failed(Failure::passing("same")).await;
    assert_eq!(error(&over), "same; three attempts in a row ended like this, so no more are made");
}

#[tokio::test]
async fn a_task_whose_process_dies_each_time_is_given_up_after_three() {
    for lapses in [true, false] {
        let desk = desk();
        let task = desk.enqueued(1).await;
        for attempt in 1..=3 {
            let claimed = desk.claimed(Role::Dev).await;
            assert_eq!(claimed.last_attempt(), Attempt(attempt));
            if !lapses {
                desk.queue.lost(task.id, Attempt(attempt)).await.unwrap();
            }
        }
        if lapses {
            // Whoever looks for work next settles it on the way.
            desk.clock.advance(Duration::from_mins(10));
            let worker = WorkerId::new("a").unwrap();
            assert_eq!(desk.queue.claim(Role::Dev, &worker, TTL).await.unwrap(), None);
        }
        let over = desk.queue.load(task.id).await.unwrap();
        assert!(error(&over).contains("three attempts in a row"), "{over:?}");
    }
}

#[tokio::test]
async fn interruptions_cost_no_attempt_and_a_limit_waits_until_its_time() {
    let desk = desk();
    desk.enqueued(1).await;
    for number in 0..5 {
        let reason = format!("the disk is full, {number}");
        let waiting = desk.failed(Failure::interruption(reason)).await;
        assert_eq!((waiting.status(), waiting.attempts_spent()), (Status::Pending, 0));
    }
    for _ in 0..4 {
        let wait = Duration::from_mins(9);
        let waiting = desk.failed(Failure::limit("mock", "429", wait)).await;
        assert_eq!((waiting.status(), waiting.attempts_spent()), (Status::Pending, 0));
        let due = waiting.due().unwrap();
        assert_eq!(due.wait(kugetsu_core::Clock::moment(&desk.clock)), wait, "no sooner, no later");
    }
    assert_eq!(desk.failed(Failure::interruption("once more")).await.attempts_spent(), 1);
}

#[tokio::test]
async fn a_task_with_a_single_attempt_ends_with_it() {
    for failure in [
        Failure::passing("it cannot"),
        Failure::interruption("the disk is full"),
        Failure::limit("mock", "429", TTL),
    ] {
        let desk = desk();
        let single = desk.queue.task(request(1)).with_max_attempts(1);
        desk.queue.enqueue(&single).await.unwrap();
        assert_eq!(error(&desk.failed(failure.clone()).await), failure.reason);
    }
    let desk = desk();
    let single = desk.queue.task(request(1)).with_max_attempts(1);
    desk.queue.enqueue(&single).await.unwrap();
    desk.claimed(Role::Dev).await;
    let lost = desk.queue.lost(single.id, Attempt(1)).await.unwrap();
    assert!(error(&lost).contains("was lost"));
}
