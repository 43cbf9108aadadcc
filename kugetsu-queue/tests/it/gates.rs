//! Why a task is not running: each gate by itself, and their order.

use std::time::Duration;

use kugetsu_core::{
    Clock, Due, Failure, MemoryStore, Outcome, Queued, Request, SlotHolder, SlotKey, Task,
    TaskQueue, Timestamp, Usage, WorkerId,
};
use kugetsu_queue::gates::{GateName, GateState, Missing, Server, Situation, gates, running};
use kugetsu_queue::{Holds, WatchedStore};
use kugetsu_testkit::fake::{ManualClock, SeededChance};
use std::sync::Arc;

const LEASE: Duration = Duration::from_mins(1);

struct Site {
    clock: Arc<ManualClock>,
    queue: TaskQueue,
    holds: Holds,
}

impl Site {
    fn new() -> Self {
        let (clock, store) = (Arc::new(ManualClock::new()), Arc::new(MemoryStore::new()));
        let queue = TaskQueue::new(store.clone(), clock.clone(), Arc::new(SeededChance::new(3)));
        let holds = Holds::new(store.clone(), clock.clone(), WatchedStore::new(store));
        Self { clock, queue, holds }
    }

    async fn enqueue(&self, task: Task) -> Task {
        assert_eq!(self.queue.enqueue(&task).await.unwrap(), Queued::New);
        task
    }

    fn task(&self, message: &str) -> Task {
        self.queue.task(Request::dev("git.example/acme/widgets#7".parse().unwrap(), message))
    }

    async fn claimed(&self, task: &Task) -> Task {
        let worker = WorkerId::new("worker").unwrap();
        self.queue.claim_this(task, &worker, LEASE).await.unwrap().unwrap()
    }

    /// What there is to see if nothing is in the way.
    fn free(&self, task: &Task) -> Situation {
        let mut seen = Situation::new(self.clock.moment(), 2);
        seen.lane = vec![task.clone()];
        seen.task = Some(task.clone());
        seen.daemon = Some(Server::new(42, None));
        seen
    }
}

fn holder(key: SlotKey, index: u32) -> SlotHolder {
    SlotHolder::new(key, index, "somebody").with_pid(99).with_since(Timestamp::from_millis(5))
}

/// The gates that are closed, and what they wait for.
fn shut(seen: &Situation) -> Vec<(GateName, String, Option<Timestamp>, String)> {
    let shut = gates(seen).into_iter().filter_map(|gate| match gate.state {
        GateState::Closed { waits_for, since, opens } => Some((gate.name, waits_for, since, opens)),
        _ => None,
    });
    shut.collect()
}

#[track_caller]
fn only(seen: &Situation, name: GateName, waits_for: &str, opens: &str) {
    let shut = shut(seen);
    assert_eq!(shut.len(), 1, "{shut:?}");
    assert_eq!(shut[0].0, name, "{shut:?}");
    assert!(shut[0].1.contains(waits_for), "{shut:?}");
    assert!(shut[0].3.contains(opens), "{shut:?}");
}

#[tokio::test]
async fn each_gate_by_itself_says_what_it_waits_for_and_what_opens_it() {
    let site = Site::new();
    let task = site.enqueue(site.task("go")).await;
    let free = site.free(&task);
    assert_eq!(shut(&free), []);
    assert_eq!(running(&free), None);

    let mut seen = free.clone();
    seen.missing = Some(Missing::new("the base session is missing", "`kugetsu init`"));
    only(&seen, GateName::Initialised, "base session", "kugetsu init");

    let mut seen = free.clone();
    (seen.task, seen.lane) = (None, Vec::new());
    only(&seen, GateName::Queued, "nothing was asked for", "kugetsu start");

    site.holds.pause("lunch").await.unwrap();
    let mut seen = free.clone();
    seen.holds = site.holds.active().await.unwrap();
    only(&seen, GateName::Pause, "paused: lunch", "queue resume");
    assert_eq!(shut(&seen)[0].2, Some(site.clock.now()));
    site.holds.resume().await.unwrap();

    site.holds.hold_provider("acme", "429", Duration::from_secs(90)).await.unwrap();
    site.holds.hold_provider("other", "429", Duration::from_mins(30)).await.unwrap();
    seen.holds = site.holds.active().await.unwrap();
    only(&seen, GateName::Provider, "provider other takes no more for now: 429", "in 30 min");

    let mut seen = free.clone();
    let earlier = site.enqueue(site.task("first")).await;
    seen.lane.insert(0, earlier.clone());
    only(&seen, GateName::Lane, &earlier.id.to_string(), "queue cancel");

    let mut seen = free.clone();
    seen.daemon = None;
    only(&seen, GateName::Daemon, "daemon", "queue-daemon start");

    let mut seen = free.clone();
    seen.issue = Some(holder(SlotKey::Issue("git.example/a/b#1".parse().unwrap()), 0));
    only(&seen, GateName::Issue, "process 99", "kugetsu stop");
    assert_eq!(shut(&seen)[0].2, Some(Timestamp::from_millis(5)));

    let mut seen = free.clone();
    seen.holders = vec![holder(SlotKey::Dev, 0)];
    assert_eq!(shut(&seen), []);
    seen.holders.push(holder(SlotKey::Dev, 1));
    only(&seen, GateName::Agent, "2 of 2 are taken, by somebody (process 99)", "end of one");
}

#[tokio::test]
async fn a_task_before_its_time_says_why_and_how_long() {
    let site = Site::new();
    let asked = site.task("go").with_due(Due::after(site.clock.moment(), Duration::from_mins(200)));
    let task = site.enqueue(asked).await;
    only(&site.free(&task), GateName::Time, "time that was asked for", "in 3 h 20 min");
    let task = site.enqueue(site.task("fails")).await;
    let claimed = site.claimed(&task).await;
    let (attempt, failure) = (claimed.last_attempt(), Failure::passing("the line was busy"));
    let failed = site.queue.fail(task.id, attempt, failure, Usage::default()).await.unwrap();
    only(&site.free(&failed), GateName::Time, "attempt 1 failed: the line was busy", " s");
    site.clock.advance(Duration::from_mins(1));
    assert_eq!(shut(&site.free(&failed)), []);
}

#[tokio::test]
async fn a_task_that_runs_has_passed_all_gates_and_says_since_when() {
    let site = Site::new();
    let task = site.enqueue(site.task("go")).await;
    let claimed = site.claimed(&task).await;
    let mut seen = site.free(&claimed);
    seen.issue = Some(holder(SlotKey::Issue("git.example/a/b#1".parse().unwrap()), 0));
    seen.holders = vec![holder(SlotKey::Dev, 0), holder(SlotKey::Dev, 1)];
    seen.heard = Some(site.clock.now().plus(Duration::from_secs(3)));
    site.holds.pause("").await.unwrap();
    seen.holds = site.holds.active().await.unwrap();
    assert_eq!(shut(&seen), []);
    let runs = running(&seen).unwrap();
    assert_eq!((runs.attempt.0, runs.since), (1, site.clock.now()));
    assert_eq!(Some(runs.heard), seen.heard);
}

#[tokio::test]
async fn a_dead_workers_task_waits_for_the_lease_and_does_not_run() {
    let site = Site::new();
    let task = site.enqueue(site.task("go")).await;
    let seen = site.free(&site.claimed(&task).await);
    assert_eq!(running(&seen), None);
    only(&seen, GateName::Time, "worker worker is dead", "lapses in 60 s");
}

#[tokio::test]
async fn what_is_over_says_how_it_ended_and_what_could_be_done() {
    let site = Site::new();
    let task = site.enqueue(site.task("go")).await;
    let attempt = site.claimed(&task).await.last_attempt();
    let outcome = Outcome::Error { failure: Failure::fatal("no such branch") };
    let task = site.queue.settle(task.id, attempt, outcome, Usage::default()).await.unwrap();
    let mut seen = site.free(&task);
    seen.lane.clear();
    only(&seen, GateName::Queued, "failed: no such branch", "queue retry");
    let names: Vec<GateName> = gates(&seen).iter().map(|gate| gate.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(!names.contains(&GateName::Time) && !names.contains(&GateName::Lane));
}

#[tokio::test]
async fn the_pm_waits_for_no_issue() {
    let site = Site::new();
    let task = site.enqueue(site.queue.task(Request::pm("hello"))).await;
    let mut seen = site.free(&task);
    seen.limit = 1;
    assert!(gates(&seen).iter().all(|gate| gate.name != GateName::Issue));
    seen.holders = vec![holder(SlotKey::Pm, 0)];
    only(&seen, GateName::Agent, "1 of 1", "end of one");
    seen.task = Some(site.claimed(&task).await);
    assert!(running(&seen).is_some());
    assert_eq!(shut(&seen), []);
}

#[tokio::test]
async fn gates_are_written_as_programs_read_them() {
    let site = Site::new();
    let task = site.enqueue(site.task("go")).await;
    let mut seen = site.free(&task);
    seen.daemon = None;
    let told = serde_json::to_value(gates(&seen)).unwrap();
    assert_eq!(told[0], serde_json::json!({ "name": "initialised", "state": { "state": "open" } }));
    let daemon = serde_json::json!({
        "name": "daemon",
        "state": {
            "state": "closed",
            "waits_for": "the daemon does not run",
            "since": null,
            "opens": "`kugetsu queue-daemon start`",
        },
    });
    assert!(told.as_array().unwrap().contains(&daemon), "{told}");
}
