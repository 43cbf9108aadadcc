//! Serving the queue, with a fake agent and a clock that is moved by hand.

mod circuit;
mod holds;
mod latency;
mod pulse;
pub(crate) mod roles;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AttemptEnd, Clock, Cursor, Expected, Failure, IssueRef, MemoStore, MemorySlots, MemoryStore,
    Outcome, Request, Session, SessionKind, SessionQuery, SessionState, SessionStore, SlotKey,
    SlotPool, Status, Task, TaskId, TaskQuery, TaskState, TaskStore, WorkerId,
};
use kugetsu_queue::{
    Backends, Engine, FileSlots, Recovered, Shutdown, SlotLimits, SqliteStore, SystemClock, Wait,
    WatchedStore,
};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees, ManualClock, SeededChance};
use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An engine with room for two agents, in a place of its own.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) backends: Backends,
    pub(crate) agent: FakeAgent,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryStore,
    pub(crate) slots: Arc<MemorySlots>,
    pub(crate) root: TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let root = TempDir::with_prefix("kugetsu-serve-").unwrap();
        let here = root.path().canonicalize().unwrap();
        let (agent, store) = (FakeAgent::new(), MemoryStore::new());
        let (clock, slots) = (Arc::new(ManualClock::new()), Arc::new(MemorySlots::new(2)));
        let backends = Backends::new(
            (Arc::new(store.clone()), Arc::new(store.clone())),
            slots.clone(),
            worktrees(&here, "home"),
            Arc::new(agent.clone()),
            (clock.clone(), Arc::new(SeededChance::new(7))),
        );
        let worker = WorkerId::new("tester").unwrap();
        let engine = Engine::new(backends.clone(), worker, here.join("home"));
        engine.init().await.unwrap();
        Self { engine, backends, agent, clock, store, slots, root }
    }

    /// Another engine on the same ground that remembers by these memos.
    pub(crate) fn engine_with(&self, memos: Arc<dyn MemoStore>) -> Engine {
        let home = self.root.path().canonicalize().unwrap().join("home");
        let backends = self.backends.clone().with_memos(memos);
        Engine::new(backends, WorkerId::new("another").unwrap(), home)
    }

    pub(crate) async fn enqueue(&self, number: u64, message: &str) -> Task {
        enqueue(&self.engine, number, message).await
    }

    /// Lets time pass whenever nothing else happens, until it is done.
    pub(crate) async fn passing<T>(&self, what: impl Future<Output = T>) -> T {
        passing(&self.clock, what).await
    }
}

/// Worktrees below `here`, and a home of this name for the base session.
pub(crate) fn worktrees(here: &Path, home: &str) -> Arc<FakeWorktrees> {
    let checkout = here.join(format!("{home}-checkout"));
    let sample = SampleRepository::with_commits(&checkout, 2).unwrap();
    std::fs::create_dir(here.join(home)).unwrap();
    let repository = "git.example/acme/widgets".parse().unwrap();
    let fake = here.join(format!("{home}-fake"));
    Arc::new(FakeWorktrees::new(fake).with_source(repository, sample.path()))
}

pub(crate) fn issue(number: u64) -> IssueRef {
    format!("git.example/acme/widgets#{number}").parse().unwrap()
}

pub(crate) async fn enqueue(engine: &Engine, number: u64, message: &str) -> Task {
    let task = engine.queue().task(Request::dev(issue(number), message));
    engine.queue().enqueue(&task).await.unwrap();
    task
}

pub(crate) fn serve(engine: &Engine) -> (Shutdown, JoinHandle<()>) {
    let (engine, shutdown) = (engine.clone(), Shutdown::new());
    let ours = shutdown.clone();
    let serving = tokio::spawn(async move {
        engine.serve(ours, |error| panic!("{error}")).await;
    });
    (shutdown, serving)
}

pub(crate) async fn drained((shutdown, serving): (Shutdown, JoinHandle<()>)) {
    shutdown.drain.cancel();
    serving.await.unwrap();
}

/// Waits, without a limit, until it is so of the task.
pub(crate) async fn until(engine: &Engine, id: TaskId, so: impl Fn(&Task) -> bool) -> Task {
    let mut changes = engine.events().follow(Cursor(0));
    loop {
        let task = engine.queue().load(id).await.unwrap();
        if so(&task) {
            return task;
        }
        changes.next().await.unwrap();
    }
}

pub(crate) async fn settled(engine: &Engine, id: TaskId) -> Task {
    until(engine, id, Task::is_settled).await
}

async fn passing<T>(clock: &ManualClock, what: impl Future<Output = T>) -> T {
    let mut what = std::pin::pin!(what);
    loop {
        tokio::select! {
            biased;
            done = &mut what => return done,
            () = tokio::time::sleep(Duration::from_millis(5)) => { clock.advance(Duration::from_millis(500)); }
        }
    }
}

pub(crate) fn failures(task: &Task) -> Vec<String> {
    let reason = |end: &AttemptEnd| match end {
        AttemptEnd::Failed { failure } => Some(failure.reason.clone()),
        _ => None,
    };
    task.attempts.iter().filter_map(|attempt| reason(&attempt.end)).collect()
}

#[tokio::test]
async fn six_tasks_are_all_carried_out_and_never_more_than_two_at_once() {
    let site = Site::new().await;
    let mut tasks = Vec::new();
    for number in 1..=6 {
        tasks.push(site.enqueue(number, "MODEL: gate go\nMODEL: say done").await);
    }
    let serving = serve(&site.engine);
    site.agent.until_at_work(2).await;
    site.agent.open("go");
    for task in tasks {
        let task = settled(&site.engine, task.id).await;
        assert_eq!(task.status(), Status::Completed, "{task:?}");
        assert_eq!(task.attempts.len(), 1);
    }
    assert_eq!(site.agent.most_at_work(), 2);
    drained(serving).await;
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_idle_server_holds_no_slot_and_hears_of_new_work_without_a_clock() {
    let site = Site::new().await;
    let serving = serve(&site.engine);
    site.clock.until_asleep(2).await;
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
    let task = site.enqueue(1, "MODEL: say done").await;
    assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}

#[tokio::test]
async fn a_failing_task_is_an_error_after_three_attempts_and_every_reason_is_kept() {
    let site = Site::new().await;
    for reason in ["one", "two", "three"] {
        site.agent.fail_next(Failure::passing(reason));
    }
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    let first = until(&site.engine, task.id, |task| !failures(task).is_empty()).await;
    let TaskState::Pending { due } = first.state else { panic!("{first:?}") };
    assert!(due.wait(site.clock.moment()) >= Duration::from_secs(5), "it waits first");
    let task = site.passing(settled(&site.engine, task.id)).await;
    assert_eq!(task.status(), Status::Error, "{task:?}");
    assert_eq!(task.attempts.len(), 3);
    let AttemptEnd::Failed { failure } = &task.attempts[2].end else { panic!("{task:?}") };
    assert!(failure.reason.ends_with("three"), "{failure:?}");
    let reasons = failures(&task);
    assert!(reasons[0].ends_with("one") && reasons[1].ends_with("two"), "{reasons:?}");
    drained(serving).await;
}

#[tokio::test]
async fn messages_for_one_issue_come_one_after_the_other_in_order() {
    let site = Site::new().await;
    let mut tasks = Vec::new();
    for number in 1..=4 {
        tasks.push(site.enqueue(1, &format!("MODEL: say message {number}")).await);
    }
    let serving = serve(&site.engine);
    for task in &tasks {
        assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    }
    assert_eq!(site.agent.most_at_work(), 1);
    let runs = site.agent.runs();
    assert_eq!(runs.len(), 4);
    for (run, number) in runs.iter().zip(1..) {
        let message = &run.message;
        assert!(message.ends_with(&format!("message {number}")), "{message}");
    }
    drained(serving).await;
}

#[tokio::test]
async fn a_draining_server_ends_what_runs_and_takes_no_more() {
    let site = Site::new().await;
    let running = site.enqueue(1, "MODEL: gate go\nMODEL: say done").await;
    let (shutdown, serving) = serve(&site.engine);
    site.agent.until_at_work(1).await;
    shutdown.drain.cancel();
    let waiting = site.enqueue(2, "MODEL: say done").await;
    site.agent.open("go");
    serving.await.unwrap();
    assert_eq!(site.engine.queue().load(running.id).await.unwrap().status(), Status::Completed);
    assert_eq!(site.engine.queue().load(waiting.id).await.unwrap().status(), Status::Pending);
}

#[tokio::test]
async fn a_cancelled_server_gives_its_tasks_back_and_that_costs_no_attempt() {
    let site = Site::new().await;
    let task = site.enqueue(1, "MODEL: gate go\nMODEL: say done").await;
    let (shutdown, serving) = serve(&site.engine);
    site.agent.until_at_work(1).await;
    shutdown.cancel.cancel();
    serving.await.unwrap();
    let given_back = site.engine.queue().load(task.id).await.unwrap();
    assert_eq!(given_back.status(), Status::Pending, "{given_back:?}");
    assert_eq!(given_back.attempts_spent(), 0);
    site.agent.open("go");
    let serving = serve(&site.engine);
    assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}

#[tokio::test]
async fn a_task_that_somebody_cancels_is_cancelled_and_not_given_back() {
    let site = Site::new().await;
    let task = site.enqueue(1, "MODEL: gate go\nMODEL: say done").await;
    let serving = serve(&site.engine);
    site.agent.until_at_work(1).await;
    site.engine.queue().cancel(task.id).await.unwrap();
    let task = site.passing(settled(&site.engine, task.id)).await;
    assert_eq!(task.status(), Status::Cancelled);
    drained(serving).await;
}

#[tokio::test]
async fn a_start_by_hand_and_the_server_keep_one_limit() {
    let site = Site::new().await;
    let script = "MODEL: gate go\nMODEL: say done";
    let tasks = [site.enqueue(1, script).await, site.enqueue(2, script).await];
    let serving = serve(&site.engine);
    site.agent.until_at_work(2).await;
    let by_hand = {
        let engine = site.engine.clone();
        let request = Request::dev(issue(3), script);
        tokio::spawn(async move {
            engine.start(request, Wait::Forever, CancellationToken::new(), |_| {}).await
        })
    };
    site.agent.open("go");
    assert_eq!(by_hand.await.unwrap().unwrap().status(), Status::Completed);
    for task in tasks {
        assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    }
    assert_eq!(site.agent.most_at_work(), 2);
    drained(serving).await;
}

#[tokio::test]
async fn the_pm_is_served_beside_the_dev_agents() {
    let site = Site::new().await;
    let script = "MODEL: gate go\nMODEL: say done";
    for number in 1..=2 {
        site.enqueue(number, script).await;
    }
    let serving = serve(&site.engine);
    site.agent.until_at_work(2).await;
    let told = site.engine.queue().task(Request::pm("MODEL: say hello"));
    site.engine.queue().enqueue(&told).await.unwrap();
    assert_eq!(settled(&site.engine, told.id).await.status(), Status::Completed);
    site.agent.open("go");
    drained(serving).await;
}

#[tokio::test]
async fn recovery_finds_what_the_dead_have_left_and_leaves_the_living_alone() {
    let site = Site::new().await;
    let dead = site.enqueue(1, "MODEL: say done").await;
    let living = site.enqueue(2, "MODEL: say done").await;
    let worker = WorkerId::new("another").unwrap();
    for task in [&dead, &living] {
        let ttl = Duration::from_mins(1);
        site.engine.queue().claim_this(task, &worker, ttl).await.unwrap().unwrap();
    }
    let _held = site.slots.try_acquire(&SlotKey::Issue(issue(2)), "another").await.unwrap();
    let now = site.clock.moment().at;
    let query = SessionQuery::of(SessionKind::Pm);
    let mut pm: Session = site.store.find(&query).await.unwrap().pop().unwrap();
    pm.state = SessionState::Active;
    pm.updated = now;
    site.store.put(&pm, Expected::At(pm.revision)).await.unwrap();
    let recovered = site.engine.recover().await.unwrap();
    assert_eq!(recovered.len(), 2, "{recovered:?}");
    assert!(matches!(&recovered[0], Recovered::Task { task, .. } if *task == dead.id));
    assert!(matches!(&recovered[1], Recovered::Session { kind: SessionKind::Pm }));
    assert_eq!(site.store.find(&query).await.unwrap()[0].state, SessionState::Idle);
    assert_eq!(site.engine.queue().load(living.id).await.unwrap().status(), Status::Notified);
    let serving = serve(&site.engine);
    let ended = site.passing(settled(&site.engine, dead.id)).await;
    assert_eq!(ended.status(), Status::Completed);
    drained(serving).await;
}

/// Two engines as two processes would have them: nothing is shared but the files and the agent.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_store_share_the_work_and_do_nothing_twice() {
    let root = TempDir::with_prefix("kugetsu-serve-").unwrap();
    let here = root.path().canonicalize().unwrap();
    let (agent, worktrees) = (FakeAgent::new(), worktrees(&here, "home"));
    let mut engines = Vec::new();
    for name in ["left", "right"] {
        let store = Arc::new(SqliteStore::open(here.join("kugetsu.db")).await.unwrap());
        let slots = FileSlots::open(here.join("slots"), SlotLimits::new(3)).unwrap();
        let backends = Backends::new(
            (store.clone(), store),
            Arc::new(slots),
            worktrees.clone(),
            Arc::new(agent.clone()),
            (Arc::new(SystemClock::new().unwrap()), Arc::new(kugetsu_queue::SystemChance)),
        );
        let engine = Engine::new(backends, WorkerId::new(name).unwrap(), here.join("home"));
        engines.push(engine.with_bell(here.join("bell")));
    }
    engines[0].init().await.unwrap();
    let serving: Vec<_> = engines.iter().map(serve).collect();
    let mut tasks = Vec::new();
    for number in 1..=12 {
        tasks.push(enqueue(&engines[0], number, "MODEL: write a.txt a\nMODEL: say done").await);
    }
    for task in &tasks {
        let task = settled(&engines[1], task.id).await;
        assert_eq!(task.status(), Status::Completed, "{task:?}");
        assert_eq!(task.attempts.len(), 1, "{task:?}");
    }
    assert_eq!(agent.runs().len(), 12);
    assert!(agent.most_at_work() <= 3);
    for one in serving {
        drained(one).await;
    }
}

/// The bell is what wakes a server for work that another process has enqueued.
#[tokio::test]
async fn an_idle_server_hears_the_bell_of_another_process() {
    let site = Site::new().await;
    let bell = site.root.path().join("bell");
    let engine = site.engine.clone().with_bell(&bell);
    let (shutdown, serving) = serve(&engine);
    site.clock.until_asleep(2).await;
    // The same store, but nothing in memory that the two share.
    let theirs = WatchedStore::new(Arc::new(site.store.clone())).with_bell(&bell);
    let task = site.engine.queue().task(Request::dev(issue(1), "MODEL: say done"));
    let told = task.enqueued(site.clock.moment());
    theirs.commit(&task, Expected::Absent, &[told]).await.unwrap();
    site.agent.until_started(1).await;
    assert_eq!(settled(&engine, task.id).await.status(), Status::Completed);
    drained((shutdown, serving)).await;
    let all = site.store.list(&TaskQuery::all()).await.unwrap();
    assert!(all.iter().all(|task| matches!(
        task.state,
        TaskState::Settled { outcome: Outcome::Completed { .. }, .. }
    )));
}

/// Nobody tells of a slot's release but the pool: not even the clock goes on.
#[tokio::test]
async fn an_issue_that_comes_free_is_taken_at_once() {
    let site = Site::new().await;
    let key = SlotKey::Issue(issue(1));
    let held = site.slots.try_acquire(&key, "by hand").await.unwrap();
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    site.clock.until_asleep(1).await;
    let other = site.enqueue(2, "MODEL: say done").await;
    assert_eq!(settled(&site.engine, other.id).await.status(), Status::Completed);
    assert_eq!(site.engine.queue().load(task.id).await.unwrap().status(), Status::Pending);
    drop(held);
    assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}
