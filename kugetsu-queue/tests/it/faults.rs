//! What goes wrong around an attempt, and what an agent does wrong itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, Cause, Clock, Failure, Finish, IssueRef, Outcome, Request, Retry, RunRequest,
    SlotKey, SlotPool, Status, Stop, Task, TaskState, Unsaved, WorkerId, Worktree, WorktreeError,
    WorktreeProvider, WorktreeSpec, WorktreeStatus,
};
use kugetsu_queue::{Backends, Engine, HoldKind, Limits, Wait};
use kugetsu_testkit::fake::{FakeWorktrees, SeededChance};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::serve::{Site, drained, enqueue, failures, issue, serve, settled, until, worktrees};

const HOUR: Duration = Duration::from_hours(1);

fn limit() -> Failure {
    Failure::limit("mock", "429 too many requests", HOUR)
}

fn failure(task: &Task) -> &Failure {
    match &task.state {
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => failure,
        other => panic!("no error: {other:?}"),
    }
}

async fn start(engine: &Engine, number: u64, message: &str) -> Task {
    let request = Request::dev(issue(number), message);
    engine.start(request, Wait::No, CancellationToken::new(), |_| {}).await.unwrap()
}

/// The names of the providers that hold the queue.
async fn held(engine: &Engine) -> Vec<String> {
    let holds = engine.holds().active().await.unwrap().into_iter();
    let names = holds.filter_map(|hold| match hold.kind {
        HoldKind::Provider(name) => Some(name),
        _ => None,
    });
    names.collect()
}

#[tokio::test]
async fn a_providers_limit_holds_the_queue_until_its_end_and_the_same_session_goes_on() {
    let site = Site::new().await;
    for _ in 0..4 {
        site.agent.fail_next(limit());
    }
    let first = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    let mut runs = 0;
    // More often than any other failure may happen, in a row and in all.
    for round in 1..=4 {
        let limited = until(&site.engine, first.id, |task| failures(task).len() == round).await;
        let TaskState::Pending { due } = limited.state else { panic!("{limited:?}") };
        assert!(due.wait(site.clock.moment()) > HOUR * 9 / 10, "{limited:?}");
        assert_eq!(limited.attempts_spent(), 0);
        let [hold] = site.engine.holds().active().await.unwrap().try_into().unwrap();
        assert_eq!(hold.kind, HoldKind::Provider("mock".into()));
        assert_eq!(hold.reason, "429 too many requests");
        assert!(hold.until.unwrap().wait(site.clock.moment()) > HOUR * 9 / 10);
        runs = site.agent.runs().len();
        if round == 4 {
            // What comes meanwhile would only meet the same limit.
            site.enqueue(2, "MODEL: say done").await;
            site.clock.until_asleep(2).await;
            assert_eq!(site.agent.runs().len(), runs);
        }
        site.clock.advance(HOUR);
    }
    let ended = site.passing(settled(&site.engine, first.id)).await;
    assert_eq!(ended.status(), Status::Completed, "{ended:?}");
    assert!(site.agent.runs().len() > runs);
    let sessions = site.agent.runs().into_iter().filter(|run| run.title == issue(1).to_string());
    let mut sessions: Vec<_> = sessions.map(|run| run.session).collect();
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    assert_eq!(held(&site.engine).await, [""; 0]);
    drained(serving).await;
}

#[tokio::test]
async fn who_starts_by_hand_is_told_of_a_limit_and_a_success_ends_what_was_held() {
    let site = Site::new().await;
    site.agent.fail_next(limit());
    let task = start(&site.engine, 1, "MODEL: say done").await;
    assert_eq!(failure(&task).cause, Cause::Limit { provider: "mock".into() });
    assert_eq!(failure(&task).retry, Retry::after(HOUR));
    assert_eq!(held(&site.engine).await, ["mock"]);
    // One that began before the limit was met says nothing of it.
    let earlier = {
        let engine = site.engine.clone();
        tokio::spawn(async move { start(&engine, 2, "MODEL: gate go\nMODEL: say done").await })
    };
    site.agent.until_at_work(1).await;
    site.engine.holds().release_provider("mock").await.unwrap();
    site.clock.advance(Duration::from_secs(1));
    site.engine.holds().hold_provider("mock", "429", HOUR).await.unwrap();
    site.agent.open("go");
    assert_eq!(earlier.await.unwrap().status(), Status::Completed);
    assert_eq!(held(&site.engine).await, ["mock"]);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(start(&site.engine, 3, "MODEL: say done").await.status(), Status::Completed);
    assert_eq!(held(&site.engine).await, [""; 0]);
}

#[tokio::test]
async fn three_equal_failures_in_a_row_are_enough_and_it_says_so() {
    let site = Site::new().await;
    let reasons = ["one", "two", "same", "same", "same"];
    for reason in reasons.iter().chain(&["never"]) {
        site.agent.fail_next(Failure::passing(*reason));
    }
    let request = Request::dev(issue(1), "MODEL: say done");
    let task = site.engine.queue().task(request).with_max_attempts(9);
    site.engine.queue().enqueue(&task).await.unwrap();
    let serving = serve(&site.engine);
    let task = site.passing(settled(&site.engine, task.id)).await;
    assert_eq!(task.attempts.len(), 5, "{task:?}");
    let words = "same; three attempts in a row ended like this, so no more are made";
    assert!(failure(&task).reason.ends_with(words), "{task:?}");
    drained(serving).await;
}

#[tokio::test]
async fn what_no_further_attempt_would_mend_ends_at_once() {
    let site = Site::new().await;
    site.agent.fail_next(Failure::fatal("401 unauthorized"));
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    let task = settled(&site.engine, task.id).await;
    assert_eq!(task.attempts.len(), 1, "{task:?}");
    assert!(failure(&task).reason.ends_with("401 unauthorized"), "{task:?}");
    drained(serving).await;
}

/// Worktrees for which the machine or the network lacks something the first so many times.
#[derive(Debug)]
struct Lacking {
    real: Arc<FakeWorktrees>,
    left: AtomicU32,
    error: fn() -> WorktreeError,
}

#[async_trait]
impl WorktreeProvider for Lacking {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let less = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err((self.error)());
        }
        self.real.prepare(spec).await
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        self.real.inspect(issue).await
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        self.real.remove(issue, unsaved).await
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        self.real.list().await
    }
}

impl Site {
    /// The same place with other parts in the engine.
    fn with(&self, worktrees: Arc<dyn WorktreeProvider>, agent: Arc<dyn AgentRunner>) -> Engine {
        let stores = (Arc::new(self.store.clone()) as _, Arc::new(self.store.clone()) as _);
        let time = (self.clock.clone() as _, Arc::new(SeededChance::new(9)) as _);
        let backends = Backends::new(stores, self.slots.clone(), worktrees, agent, time);
        let home = self.root.path().canonicalize().unwrap().join("home");
        Engine::new(backends, WorkerId::new("other").unwrap(), home)
    }

    fn worktrees(&self) -> Arc<FakeWorktrees> {
        let here = self.root.path().canonicalize().unwrap().join("other");
        std::fs::create_dir(&here).unwrap();
        worktrees(&here, "home")
    }
}

/// A task whose worktree cannot be had `times` in a row, when it has ended.
async fn lacking(site: &Site, times: u32, error: fn() -> WorktreeError) -> Task {
    let lacking = Lacking { real: site.worktrees(), left: AtomicU32::new(times), error };
    let engine = site.with(Arc::new(lacking), Arc::new(site.agent.clone()));
    let task = enqueue(&engine, 1, "MODEL: say done").await;
    let serving = serve(&engine);
    let task = site.passing(settled(&engine, task.id)).await;
    drained(serving).await;
    task
}

#[tokio::test]
async fn a_full_disk_costs_no_attempt_and_the_task_goes_on_once_there_is_space() {
    let full = || WorktreeError::Backend {
        who: "git".into(),
        operation: "check it out".into(),
        retry: Retry::Later,
        source: io::Error::from(io::ErrorKind::StorageFull).into(),
    };
    // More often than three equal failures, and no more than what is free.
    let task = lacking(&Site::new().await, 5, full).await;
    assert_eq!(task.status(), Status::Completed, "{task:?}");
    assert_eq!((task.attempts.len(), task.attempts_spent()), (6, 0));
    for reason in failures(&task) {
        let words = "the attempt stopped at Worktree: no space is left on the disk";
        assert!(reason.starts_with(words), "{reason}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_costs_nothing_five_times_and_is_asked_ever_less_often() {
    let down = || WorktreeError::Unreachable {
        repository: "a/b".into(),
        why: "Could not resolve host: example.com".into(),
    };
    let task = lacking(&Site::new().await, 5, down).await;
    assert_eq!(task.status(), Status::Completed, "{task:?}");
    assert_eq!((task.attempts.len(), task.attempts_spent()), (6, 0));
    let began = |number: usize| task.attempts[number].started.as_millis();
    let waits: Vec<u64> = (1..6).map(|number| began(number) - began(number - 1)).collect();
    // Half of each is left to chance.
    for (wait, least) in waits.iter().zip([5_000, 10_000, 20_000, 40_000, 80_000]) {
        assert!(*wait >= least, "{waits:?}");
    }
    let task = lacking(&Site::new().await, 8, down).await;
    assert_eq!((task.attempts.len(), task.attempts_spent()), (8, 3), "{task:?}");
    assert!(failure(&task).reason.contains("Could not resolve host"), "{task:?}");
}

/// An agent that says nothing, and hears nothing but force.
#[derive(Debug)]
struct Stubborn {
    id: AgentId,
    heard: mpsc::UnboundedSender<Stop>,
}

#[derive(Debug)]
struct Deaf {
    heard: mpsc::UnboundedSender<Stop>,
    tell: mpsc::UnboundedSender<Result<AgentEvent, AgentError>>,
}

#[async_trait]
impl AgentRunner for Stubborn {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("stubborn", "1"))
    }

    async fn start(&self, _: RunRequest) -> Result<AgentRun, AgentError> {
        let (tell, told) = mpsc::unbounded_channel();
        let control = Deaf { heard: self.heard.clone(), tell };
        Ok(AgentRun::new(Box::pin(UnboundedReceiverStream::new(told)), Arc::new(control)))
    }
}

#[async_trait]
impl AgentControl for Deaf {
    async fn stop(&self, how: Stop) -> Result<(), AgentError> {
        self.heard.send(how).unwrap();
        if how == Stop::Politely {
            std::future::pending::<()>().await;
        }
        let _ = self.tell.send(Ok(AgentEvent::Finished(Finish::Stopped)));
        Ok(())
    }
}

#[tokio::test]
async fn an_agent_that_does_not_stop_politely_is_stopped_by_force_after_the_grace() {
    let site = Site::new().await;
    let (heard, mut stops) = mpsc::unbounded_channel();
    let agent = Stubborn { id: AgentId::new("stubborn").unwrap(), heard };
    let limits = Limits::default().with_stall(Duration::from_secs(30));
    let engine = site.with(site.worktrees(), Arc::new(agent)).with_limits(limits);
    let task = enqueue(&engine, 1, "MODEL: say done").await;
    let serving = serve(&engine);
    assert_eq!(site.passing(stops.recv()).await, Some(Stop::Politely));
    let asked = site.clock.tick();
    assert_eq!(site.passing(stops.recv()).await, Some(Stop::Now));
    let grace = site.clock.tick().since(asked).unwrap();
    assert!((10..=11).contains(&grace.as_secs()), "{grace:?}");
    let once = until(&engine, task.id, |task| !failures(task).is_empty());
    let failed = site.passing(once).await;
    assert!(failures(&failed)[0].contains("silent for 30 s"), "{failed:?}");
    assert_eq!(failed.attempts_spent(), 1);
    // It is tried again by policy, and is an error after three.
    let task = site.passing(settled(&engine, task.id)).await;
    assert_eq!((task.status(), task.attempts.len()), (Status::Error, 3));
    assert_eq!(failures(&task).len(), 3);
    drained(serving).await;
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
}
