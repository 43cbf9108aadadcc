//! The line, with a fake agent and a clock that is moved by hand.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSessions as _, Cursor, EventLog, Failure, Finish, Happening, IssueRef,
    MemorySlots, MemoryStore, Outcome, Report, Request, RunRequest, Session, SessionKind,
    SessionQuery, SessionState, SessionStore, SlotKey, SlotPool, Status, Stop, Task, TaskQuery,
    TaskState, TaskStore, Unsaved, WorkerId, Worktree, WorktreeError, WorktreeProvider,
    WorktreeSpec, WorktreeStatus,
};
use kugetsu_queue::{Backends, Engine, Limits, StartError, Wait};
use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees, ManualClock, SeededChance};
use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An engine in a place of its own.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) agent: FakeAgent,
    pub(crate) clock: Arc<ManualClock>,
    chance: Arc<SeededChance>,
    pub(crate) store: MemoryStore,
    slots: Arc<MemorySlots>,
    worktrees: Arc<FakeWorktrees>,
    pub(crate) root: TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let site = Self::uninitialised(FakeAgent::new());
        site.engine.init().await.unwrap();
        site
    }

    fn uninitialised(agent: FakeAgent) -> Self {
        let root = TempDir::with_prefix("kugetsu-line-").unwrap();
        let here = root.path().canonicalize().unwrap();
        let sample = SampleRepository::with_commits(&here.join("checkout"), 2).unwrap();
        let worktrees = FakeWorktrees::new(here.join("fake"))
            .with_source("git.example/acme/widgets".parse().unwrap(), sample.path());
        let worktrees = Arc::new(worktrees);
        let (clock, store) = (Arc::new(ManualClock::new()), MemoryStore::new());
        let (slots, chance) = (Arc::new(MemorySlots::new(2)), Arc::new(SeededChance::new(7)));
        std::fs::create_dir(here.join("home")).unwrap();
        let engine = Engine::new(
            Backends::new(
                (Arc::new(store.clone()), Arc::new(store.clone())),
                slots.clone(),
                worktrees.clone(),
                Arc::new(agent.clone()),
                (clock.clone(), chance.clone()),
            ),
            WorkerId::new("tester").unwrap(),
            here.join("home"),
        );
        Self { engine, agent, clock, chance, store, slots, worktrees, root }
    }

    pub(crate) fn worktrees(&self) -> &FakeWorktrees {
        &self.worktrees
    }

    /// The same place with another agent in the engine.
    pub(crate) fn with_agent(&self, agent: Arc<dyn AgentRunner>) -> Engine {
        self.with(self.worktrees.clone(), agent)
    }

    /// The same place, with this agent beside the usual one.
    pub(crate) fn with_other_agent(&self, other: Arc<dyn AgentRunner>) -> Engine {
        let agent = Arc::new(self.agent.clone());
        self.over(self.backends(self.worktrees.clone(), agent).with_other_agent(other))
    }

    fn with(&self, worktrees: Arc<dyn WorktreeProvider>, agent: Arc<dyn AgentRunner>) -> Engine {
        self.over(self.backends(worktrees, agent))
    }

    fn backends(
        &self,
        worktrees: Arc<dyn WorktreeProvider>,
        agent: Arc<dyn AgentRunner>,
    ) -> Backends {
        Backends::new(
            (Arc::new(self.store.clone()), Arc::new(self.store.clone())),
            self.slots.clone(),
            worktrees,
            agent,
            (self.clock.clone(), self.chance.clone()),
        )
    }

    fn over(&self, backends: Backends) -> Engine {
        let home = self.root.path().canonicalize().unwrap().join("home");
        Engine::new(backends, WorkerId::new("other").unwrap(), home)
    }

    pub(crate) async fn start(&self, number: u64, message: &str) -> Result<Task, StartError> {
        start(&self.engine, number, message).await
    }

    /// Starts it, and lets time pass as soon as the agent is at work, until it ends.
    async fn start_and_wait(&self, number: u64, message: &str) -> Task {
        let mut started = pin!(self.start(number, message));
        tokio::select! {
            ended = &mut started => return ended.unwrap(),
            () = self.agent.until_at_work(1) => {}
        }
        passing(&self.clock, started).await.unwrap()
    }

    pub(crate) async fn session(&self, number: u64) -> Session {
        let kind = SessionKind::Dev(issue(number));
        self.store.find(&SessionQuery::of(kind)).await.unwrap().pop().unwrap()
    }

    pub(crate) async fn told(&self, task: &Task) -> Vec<Happening> {
        let events = self.store.read(Cursor(0), 1000).await.unwrap();
        events.into_iter().filter(|(_, e)| e.task == task.id).map(|(_, e)| e.what).collect()
    }
}

pub(crate) fn issue(number: u64) -> IssueRef {
    format!("git.example/acme/widgets#{number}").parse().unwrap()
}

pub(crate) async fn start(engine: &Engine, number: u64, message: &str) -> Result<Task, StartError> {
    let request = Request::dev(issue(number), message);
    engine.start(request, Wait::No, CancellationToken::new(), |_| {}).await
}

/// Lets time pass, from one sleeper's end to the next one's, until the future is done.
pub(crate) async fn passing<T>(clock: &ManualClock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            done = &mut future => return done,
            // Whoever keeps the lease and, while the agent works or is being stopped, whoever
            // watches the time.
            () = clock.until_asleep(2) => { clock.advance_to_next(); }
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) fn report(task: &Task) -> &Report {
    match &task.state {
        TaskState::Settled { outcome: Outcome::Completed { report }, .. } => report,
        other => panic!("not completed: {other:?}"),
    }
}

pub(crate) fn failure(task: &Task) -> &Failure {
    match &task.state {
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => failure,
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn a_request_walks_the_line_and_is_settled_by_what_is_in_the_worktree() {
    let site = Site::new().await;
    let script = "MODEL: write a.txt a\nMODEL: commit add a\nMODEL: write b.txt b\nMODEL: say done";
    let task = site.start(1, script).await.unwrap();
    let report = report(&task);
    assert_eq!((report.answer.as_str(), report.branch.as_str()), ("done", "fix/issue-1"));
    assert_eq!((report.commits, report.uncommitted), (1, 1));
    let names: Vec<&str> = site
        .told(&task)
        .await
        .iter()
        .map(|what| match what {
            Happening::Enqueued { .. } => "enqueued",
            Happening::Claimed { .. } => "claimed",
            Happening::SlotTaken { .. } => "slot",
            Happening::WorktreeReady { created: true, .. } => "worktree",
            Happening::SessionReady { .. } => "session",
            Happening::Agent(AgentEvent::Finished(_)) => "finished",
            Happening::Agent(_) => "agent",
            Happening::Settled { .. } => "settled",
            other => panic!("{other:?}"),
        })
        .collect();
    let mut steps = names.clone();
    steps.dedup();
    let expected =
        ["enqueued", "claimed", "slot", "worktree", "session", "agent", "finished", "settled"];
    assert_eq!(steps, expected, "{names:?}");
    let session = site.session(1).await;
    assert_eq!(session.state, SessionState::Completed);
    let run = &site.agent.runs()[0];
    assert_eq!(Some(run.directory.as_path()), session.directory.as_deref());
    assert!(run.message.ends_with(&format!("Delegator's message:\n{script}")), "{}", run.message);
}

#[tokio::test]
async fn a_second_start_goes_on_in_the_same_worktree_and_session() {
    let site = Site::new().await;
    site.start(1, "MODEL: write a.txt a\nMODEL: say one").await.unwrap();
    let first = site.session(1).await;
    let again = site.start(1, "MODEL: say two").await.unwrap();
    assert_eq!(report(&again).uncommitted, 1);
    let second = site.session(1).await;
    assert_eq!(
        (first.id, first.agent_session, first.directory),
        (second.id, second.agent_session, second.directory)
    );
}

#[tokio::test]
async fn a_silent_agent_is_stopped_and_its_worktree_is_kept() {
    let site = Site::new().await;
    let task = site.start_and_wait(1, "MODEL: write half.txt half\nMODEL: hang").await;
    assert!(failure(&task).reason.contains("silent for 10 min"), "{task:?}");
    assert_eq!(site.agent.at_work(), 0);
    let session = site.session(1).await;
    assert_eq!(session.state, SessionState::Timeout);
    assert!(session.directory.unwrap().join("half.txt").exists());
    // Renewing kept the lease all the while: there was one attempt.
    assert_eq!(task.attempts.len(), 1);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_stopped() {
    let mut site = Site::new().await;
    let limits = Limits::default().with_turn(std::time::Duration::from_mins(2));
    site.engine = site.engine.with_limits(limits);
    let task = site.start_and_wait(1, "MODEL: hang").await;
    assert!(failure(&task).reason.contains("longer than 2 min"), "{task:?}");
}

#[tokio::test]
async fn an_agent_that_did_nothing_has_failed_whatever_it_says_of_itself() {
    let site = Site::new().await;
    let lazy = site.with_agent(Canned::new([]));
    let task = start(&lazy, 1, "MODEL: say hi").await.unwrap();
    assert!(failure(&task).reason.contains("without having said or done"), "{task:?}");
    assert_eq!(site.session(1).await.state, SessionState::Failed);
}

#[tokio::test]
async fn a_question_that_nobody_may_answer_ends_the_attempt_unless_the_agent_goes_on() {
    let site = Site::new().await;
    let asked = AgentEvent::Asked {
        question: "1".into(),
        text: "to read /etc/hostname".into(),
        refused: true,
    };
    let stuck = site.with_agent(Canned::new([asked.clone()]));
    let task = start(&stuck, 1, "MODEL: say hi").await.unwrap();
    let failure = failure(&task);
    assert!(!failure.retry.is_possible(), "{failure:?}");
    assert!(failure.reason.contains("to read /etc/hostname"), "{failure:?}");

    let going_on = AgentEvent::Message { text: "I do without.".into() };
    let clever = site.with_agent(Canned::new([asked.clone(), going_on]));
    let task = start(&clever, 2, "MODEL: say hi").await.unwrap();
    assert_eq!(report(&task).answer, "I do without.");
    assert!(site.told(&task).await.contains(&Happening::Agent(asked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_wait_never_exceed_the_limit_and_all_come_through() {
    let site = Site::new().await;
    let mut starts = JoinSet::new();
    for number in 1..=6 {
        let engine = site.engine.clone();
        starts.spawn(async move {
            let request = Request::dev(issue(number), "MODEL: gate go ;; say done");
            engine.start(request, Wait::Forever, CancellationToken::new(), |_| {}).await
        });
    }
    site.agent.until_at_work(2).await;
    site.agent.open("go");
    while let Some(started) = starts.join_next().await {
        report(&started.unwrap().unwrap());
    }
    assert!(site.agent.most_at_work() <= 2);
    // They forked from one copy of the base.
    let kind = SessionKind::Repo("git.example/acme/widgets".parse().unwrap());
    assert_eq!(site.store.find(&SessionQuery::of(kind)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_slot_nothing_is_queued() {
    let site = Site::new().await;
    let dev = site.slots.acquire(&SlotKey::Dev, "one").await.unwrap();
    let _other = site.slots.acquire(&SlotKey::Dev, "two").await.unwrap();
    let refused = site.start(1, "MODEL: say hi").await.unwrap_err();
    let StartError::NoSlot { holders, limit: 2 } = refused else { panic!("{refused:?}") };
    assert_eq!(holders.len(), 2);
    assert!(site.store.list(&TaskQuery::all()).await.unwrap().is_empty());
    drop(dev);
    let _busy = site.slots.acquire(&SlotKey::Issue(issue(1)), "somebody").await.unwrap();
    let refused = site.start(1, "MODEL: say hi").await.unwrap_err();
    assert!(refused.to_string().contains("in use: somebody"), "{refused}");
    report(&site.start(2, "MODEL: say hi").await.unwrap());
}

#[tokio::test]
async fn a_bounded_wait_ends_without_a_trace() {
    let site = Site::new().await;
    let _busy = site.slots.acquire(&SlotKey::Issue(issue(1)), "somebody").await.unwrap();
    let wait = Wait::For(std::time::Duration::from_secs(30));
    let request = Request::dev(issue(1), "MODEL: say hi");
    let mut started = pin!(site.engine.start(request, wait, CancellationToken::new(), |_| {}));
    tokio::select! {
        ended = &mut started => panic!("{ended:?}"),
        () = site.clock.until_asleep(1) => {}
    }
    site.clock.advance(std::time::Duration::from_secs(31));
    assert!(matches!(started.await, Err(StartError::InUse { .. })));
    assert!(site.store.list(&TaskQuery::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_cancelled_task_stops_its_agent_and_its_session_goes_on() {
    let site = Site::new().await;
    let mut started = pin!(site.start(1, "MODEL: write half.txt half\nMODEL: hang"));
    tokio::select! {
        ended = &mut started => panic!("{ended:?}"),
        _ = site.agent.until_started(1) => {}
    }
    let open = site.store.list(&TaskQuery::open()).await.unwrap().pop().unwrap();
    site.engine.queue().cancel(open.id).await.unwrap();
    let task = passing(&site.clock, started).await.unwrap();
    assert_eq!(task.status(), Status::Cancelled);
    assert_eq!(site.session(1).await.state, SessionState::Idle);
    let on = site.start(1, "MODEL: history").await.unwrap();
    assert!(report(&on).answer.contains("users=3"), "{on:?}");
}

/// A provider whose remote never answers.
#[derive(Debug)]
struct Unreachable;

#[async_trait]
impl WorktreeProvider for Unreachable {
    async fn prepare(&self, _: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        std::future::pending().await
    }

    async fn inspect(&self, _: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        Ok(None)
    }

    async fn remove(&self, _: &IssueRef, _: Unsaved) -> Result<(), WorktreeError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_start_can_be_stopped_while_its_worktree_is_made() {
    let site = Site::new().await;
    let engine = site.with(Arc::new(Unreachable), Arc::new(site.agent.clone()));
    let stop = CancellationToken::new();
    let request = Request::dev(issue(1), "MODEL: say hi");
    let stopping = stop.clone();
    // Called once the task is queued, which is before its worktree is asked for.
    let task = engine.start(request, Wait::No, stop, move |_| stopping.cancel()).await.unwrap();
    assert_eq!(task.status(), Status::Cancelled);
    assert!(site.agent.runs().is_empty());
}

#[tokio::test]
async fn whoever_loses_the_lease_stops_the_agent_and_settles_nothing() {
    let site = Site::new().await;
    let mut started = pin!(site.start(1, "MODEL: hang"));
    tokio::select! {
        ended = &mut started => panic!("{ended:?}"),
        () = site.agent.until_at_work(1) => {}
    }
    let open = site.store.list(&TaskQuery::open()).await.unwrap().pop().unwrap();
    let settled = site.engine.queue().lost(open.id, open.last_attempt()).await.unwrap();
    let refused = passing(&site.clock, started).await.unwrap_err();
    assert!(matches!(refused, StartError::LeaseLost { .. }), "{refused:?}");
    site.agent.until_at_work(0).await;
    assert_eq!(TaskStore::load(&site.store, open.id).await.unwrap(), Some(settled));
}

#[tokio::test]
async fn a_start_that_is_dropped_stops_its_agent_and_does_not_block_the_issue() {
    let site = Site::new().await;
    {
        let mut started = pin!(site.start(1, "MODEL: hang"));
        tokio::select! {
            ended = &mut started => panic!("{ended:?}"),
            () = site.agent.until_at_work(1) => {}
        }
    }
    site.agent.until_at_work(0).await;
    let left = site.store.list(&TaskQuery::open()).await.unwrap().pop().unwrap();
    // The line is dropped in a task of its own; it is over when the issue's slot is free.
    drop(site.slots.acquire(&SlotKey::Issue(issue(1)), "free again").await.unwrap());
    report(&site.start(1, "MODEL: say on").await.unwrap());
    let buried = TaskStore::load(&site.store, left.id).await.unwrap().unwrap();
    assert!(failure(&buried).reason.contains("was lost"), "{buried:?}");
}

#[tokio::test]
async fn a_session_that_the_agent_has_lost_is_forked_anew() {
    let site = Site::new().await;
    site.start(1, "MODEL: say one").await.unwrap();
    let lost = site.session(1).await.agent_session.unwrap();
    site.agent.sessions().unwrap().delete(&lost).await.unwrap();
    report(&site.start(1, "MODEL: say two").await.unwrap());
    let found = site.session(1).await.agent_session.unwrap();
    assert_ne!(found, lost);
    let known = site.agent.sessions().unwrap().describe(&found).await.unwrap().unwrap();
    assert_eq!(Some(known.directory), site.session(1).await.directory);
}

#[tokio::test]
async fn a_base_that_the_agent_has_lost_is_said_with_the_way_out() {
    let site = Site::new().await;
    let kind = SessionQuery::of(SessionKind::Base);
    let base = site.store.find(&kind).await.unwrap().pop().unwrap().agent_session.unwrap();
    site.agent.sessions().unwrap().delete(&base).await.unwrap();
    let task = site.start(1, "MODEL: say hi").await.unwrap();
    assert!(failure(&task).reason.contains("kugetsu init --force"), "{task:?}");
}

/// A provider that cannot say what state a worktree is in.
#[derive(Debug)]
struct Blind(Arc<FakeWorktrees>);

#[async_trait]
impl WorktreeProvider for Blind {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        self.0.prepare(spec).await
    }

    async fn inspect(&self, _: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        Err(WorktreeError::InTheWay { path: "there".into(), why: "its .git is broken".into() })
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        self.0.remove(issue, unsaved).await
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        self.0.list().await
    }
}

#[tokio::test]
async fn a_session_whose_work_cannot_be_inspected_has_not_completed() {
    let site = Site::new().await;
    let agent = Arc::new(site.agent.clone());
    let engine = site.with(Arc::new(Blind(site.worktrees.clone())), agent);
    let task = start(&engine, 1, "MODEL: say hi").await.unwrap();
    assert!(failure(&task).reason.contains(".git is broken"), "{task:?}");
    assert_eq!(site.session(1).await.state, SessionState::Failed);
}

#[tokio::test]
async fn an_agent_without_sessions_tells_its_id_when_it_runs() {
    let site = Site::uninitialised(FakeAgent::new().without_sessions());
    site.engine.init().await.unwrap();
    site.start(1, "MODEL: say one").await.unwrap();
    let first = site.session(1).await.agent_session;
    assert!(first.is_some());
    let again = site.start(1, "MODEL: history").await.unwrap();
    assert_eq!(site.session(1).await.agent_session, first);
    assert!(report(&again).answer.contains("users=2"), "{again:?}");
}

#[tokio::test]
async fn an_agent_that_cannot_be_asked_and_has_lost_a_session_begins_anew() {
    let site = Site::uninitialised(FakeAgent::new().without_sessions());
    site.engine.init().await.unwrap();
    site.start(1, "MODEL: say one").await.unwrap();
    let first = site.session(1).await.agent_session.unwrap();
    site.agent.delete(&first).await.unwrap();
    let lost = site.start(1, "MODEL: history").await.unwrap();
    assert!(failure(&lost).reason.contains("has no session"), "{lost:?}");
    let again = site.start(1, "MODEL: history").await.unwrap();
    assert!(report(&again).answer.contains("users=1"), "{again:?}");
    assert_ne!(site.session(1).await.agent_session, Some(first));
}

#[tokio::test]
async fn without_a_base_nothing_starts_and_the_error_names_init() {
    let site = Site::uninitialised(FakeAgent::new());
    let task = site.start(1, "MODEL: say hi").await.unwrap();
    assert!(failure(&task).reason.contains("kugetsu init"), "{task:?}");
    assert!(site.agent.runs().is_empty());
}

/// An agent that tells these events, whatever it is told, and claims to be done. Without events its
/// author has made a mistake, and it panics.
#[derive(Debug)]
pub(crate) struct Canned {
    id: AgentId,
    events: Option<Vec<AgentEvent>>,
}

impl Canned {
    pub(crate) fn new(events: impl Into<Vec<AgentEvent>>) -> Arc<Self> {
        Arc::new(Self { id: AgentId::new("canned").unwrap(), events: Some(events.into()) })
    }

    fn panicking() -> Arc<Self> {
        Arc::new(Self { id: AgentId::new("canned").unwrap(), events: None })
    }
}

#[async_trait]
impl AgentRunner for Canned {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("canned", "1"))
    }

    async fn start(&self, _: RunRequest) -> Result<AgentRun, AgentError> {
        let mut events = self.events.clone().expect("a mistake");
        events.push(AgentEvent::Finished(Finish::Done));
        let events = tokio_stream::iter(events.into_iter().map(Ok));
        Ok(AgentRun::new(Box::pin(events), Arc::new(Unstoppable)))
    }
}

#[derive(Debug)]
struct Unstoppable;

#[async_trait]
impl AgentControl for Unstoppable {
    async fn stop(&self, _: Stop) -> Result<(), AgentError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_on_the_line_ends_its_task_and_nothing_else() {
    let site = Site::new().await;
    let broken = site.with_agent(Canned::panicking());
    let task = start(&broken, 1, "MODEL: say hi").await.unwrap();
    assert!(failure(&task).reason.contains("kugetsu itself failed"), "{task:?}");
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
    report(&site.start(2, "MODEL: say hi").await.unwrap());
}

#[tokio::test]
async fn a_worktree_is_inspected_only_and_never_recreated_by_a_start() {
    let site = Site::new().await;
    let first = site.start(1, "MODEL: write keep.txt me").await.unwrap();
    let session = site.session(1).await;
    let second = site.start(1, "MODEL: say again").await.unwrap();
    assert_eq!(report(&first).branch, report(&second).branch);
    let status = site.worktrees.inspect(&issue(1)).await.unwrap().unwrap();
    assert_eq!(status.dirty, 1);
    assert_eq!(Some(status.worktree.path), session.directory);
}
