//! The line: the one way on which an agent is started.
//!
//! ```text
//! [slot] ─► claim (lease) ─► worktree ─► session ─► run ─► outcome ─► settle
//!              └────── the lease is renewed beside all of this ──────┘
//! ```

pub mod rules;

mod agents;
mod fault;
mod follow;
mod lease;
mod ration;
mod session;
mod veiled;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AgentEvent, AgentRunner, AgentSessionId, Chance, Clock, Conversation, Failure, Happening,
    QueueError, Report, Request, Retry, Role, RunRequest, SessionState, SessionStore, Slot, Task,
    TaskQueue, WorkerId, Worktree, WorktreeProvider, WorktreeSpec,
};
use tokio_util::sync::CancellationToken;

pub(crate) use agents::Agents;
use fault::Fault as _;
pub(crate) use follow::Turn;
pub(crate) use lease::LeaseEnd;
pub(crate) use ration::Ration;
pub use session::Base;
pub(crate) use veiled::failure as masked;

use crate::context::{AttemptContext, Contexts};
use crate::logs::{AttemptLog, Logs};
use crate::mask::Mask;
use rules::{PromptError, Prompts};

/// How long things may take on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long a lease lasts unless it is renewed. 60 s.
    pub lease: Duration,
    /// How often it is renewed. 10 s.
    pub renew: Duration,
    /// How often a worker looks whether its task is to be cancelled. 500 ms.
    pub heed: Duration,
    /// How long a turn of an agent may take. 1 h.
    pub turn: Duration,
    /// How long an agent may be silent. 10 min.
    pub stall: Duration,
    /// How long an agent that was stopped politely has before it is stopped by force. 10 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            renew: Duration::from_secs(10),
            heed: Duration::from_millis(500),
            turn: Duration::from_hours(1),
            stall: Duration::from_mins(10),
            grace: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// How long a lease lasts unless it is renewed, and how often it is.
    pub fn with_lease(mut self, lease: Duration, renew: Duration) -> Self {
        (self.lease, self.renew) = (lease, renew);
        self
    }

    /// How often a worker looks whether its task is to be cancelled.
    pub fn with_heed(mut self, heed: Duration) -> Self {
        self.heed = heed;
        self
    }

    /// How long a turn of an agent may take.
    pub fn with_turn(mut self, turn: Duration) -> Self {
        self.turn = turn;
        self
    }

    /// How long an agent may be silent.
    pub fn with_stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// How long an agent that was stopped politely has before it is stopped by force.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// Where on the line an attempt stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The issue's worktree was to be made or found.
    Worktree,
    /// The agent session was to be made or found.
    Session,
    /// The agent was to be started.
    Start,
    /// The agent was at work.
    Run,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worktree => "Worktree",
            Self::Session => "Session",
            Self::Start => "Start",
            Self::Run => "Run",
        })
    }
}

/// How an attempt ended without success.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It failed.
    Failed { stage: Stage, failure: Failure },
    /// It was stopped because somebody wants the task to end.
    Stopped,
}

/// Says where on the line an error happened.
trait At<T> {
    fn at(self, stage: Stage) -> Result<T, Halt>;
}

macro_rules! stages {
    ($($error:ty),*) => {$(
        impl<T> At<T> for Result<T, $error> {
            fn at(self, stage: Stage) -> Result<T, Halt> {
                self.map_err(|error| Halt::Failed { stage, failure: error.failure() })
            }
        }
    )*};
}

stages!(
    kugetsu_core::WorktreeError,
    kugetsu_core::SessionError,
    kugetsu_core::AgentError,
    QueueError,
    PromptError
);

impl Halt {
    fn failed(stage: Stage, reason: impl Into<String>, retry: Retry) -> Self {
        Self::Failed { stage, failure: Failure::new(reason, retry) }
    }

    /// The failure in the words that are kept: with the stage at which it happened.
    pub(crate) fn into_failure(self) -> Option<Failure> {
        match self {
            Self::Failed { stage, mut failure } => {
                failure.reason = format!("the attempt stopped at {stage}: {}", failure.reason);
                Some(failure)
            }
            Self::Stopped => None,
        }
    }
}

/// All that is needed to carry out an attempt. The only place that sees all the traits at once.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) queue: TaskQueue,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) worktrees: Arc<dyn WorktreeProvider>,
    pub(crate) agents: Agents,
    pub(crate) pm_agent: Arc<dyn AgentRunner>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) limits: Limits,
    pub(crate) base_branch: Option<String>,
    /// Where the PM works.
    pub(crate) home: PathBuf,
    pub(crate) prompts: Prompts,
    pub(crate) mask: Arc<Mask>,
    pub(crate) logs: Option<Logs>,
    /// The log of the attempt that this line is walked for.
    pub(crate) log: Option<Arc<AttemptLog>>,
    pub(crate) contexts: Option<Contexts>,
    /// What is remembered of the issue that this line is walked for.
    pub(crate) context: Option<Arc<AttemptContext>>,
    pub(crate) ration: Ration,
}

impl Line {
    /// The line for the newest attempt of this task, whose log and context begin.
    pub(crate) fn logged(&self, task: &Task, worker: &WorkerId) -> Self {
        let (now, mask) = (self.clock.now(), Arc::clone(&self.mask));
        let log =
            self.logs.as_ref().and_then(|logs| logs.begin(task, worker, now, Arc::clone(&mask)));
        let begun = self.contexts.as_ref().and_then(|contexts| contexts.begin(task, now, mask));
        let (context, wrong) =
            begun.map_or((None, None), |(context, wrong)| (Some(context), wrong));
        let (log, context) = (log.map(Arc::new), context.map(Arc::new));
        let line = Self { log, context, ration: Ration::default(), ..self.clone() };
        line.warn(wrong);
        line
    }

    /// Writes down how the attempt ended.
    pub(crate) fn log_end(&self, how: impl AsRef<str>) {
        if let Some(context) = &self.context {
            self.warn(context.end(self.clock.now(), how.as_ref()));
        }
        if let Some(log) = &self.log {
            log.end(self.clock.now(), how.as_ref());
        }
    }

    /// Says in the log what is wrong without failing anything.
    fn warn(&self, wrong: Option<String>) {
        if let (Some(wrong), Some(log)) = (wrong, &self.log) {
            log.note(self.clock.now(), &wrong);
        }
    }

    /// Walks the line for one attempt. The caller holds the slots and the lease. `turn` collects
    /// what the agent uses up, whatever becomes of the attempt.
    pub(crate) async fn walk(
        &self,
        task: &Task,
        slots: Vec<Slot>,
        stop: &CancellationToken,
        turn: &mut Turn,
    ) -> Result<Report, Halt> {
        self.tell(task, slots.iter().map(taken).collect()).await;
        match &task.request {
            Request::Dev { issue, message, agent, .. } => {
                let spec = WorktreeSpec::new(issue.clone()).with_base(self.base_branch.clone());
                let (worktree, mut session) = unless(stop, async {
                    let agent = self.dev_agent(issue, agent.as_ref()).await?;
                    let worktree = self.worktrees.prepare(&spec).await.at(Stage::Worktree)?;
                    self.tell(task, vec![self.ready(&worktree)]).await;
                    let session = self.dev_session(agent, issue, &worktree).await?;
                    Ok((worktree, session))
                })
                .await?;
                let others = self.repositories(Some(issue)).await;
                let lost = self.lost_words(issue, &session);
                let message = self
                    .prompts
                    .dev_message(&worktree, &others, lost.as_deref(), message)
                    .at(Stage::Start)?;
                let run = RunRequest::new(&worktree.path, message).with_title(issue.to_string());
                self.turn(task, &mut session, run.with_slots(slots), stop, turn).await?;
                let report = self.report(issue, turn).await;
                if report.is_err() {
                    session.set_state(self, SessionState::Failed).await?;
                }
                report
            }
            Request::Pm { message, .. } => {
                let mut session = self.pm_session().await?;
                let repositories = self.repositories(None).await;
                let message = self.prompts.pm_message(&repositories, message).at(Stage::Start)?;
                let run = RunRequest::new(&self.home, message).with_role(Role::Pm);
                self.turn(task, &mut session, run.with_slots(slots), stop, turn).await?;
                Ok(turn.report())
            }
            _ => Err(Halt::failed(
                Stage::Start,
                "this kugetsu does not know what the task wants; use a newer one",
                Retry::Never,
            )),
        }
    }

    /// One turn of the agent in the session, which is recorded before and after.
    async fn turn(
        &self,
        task: &Task,
        session: &mut session::Ready,
        request: RunRequest,
        stop: &CancellationToken,
        turn: &mut Turn,
    ) -> Result<(), Halt> {
        if stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        let request = request.with_conversation(session.conversation.clone());
        let agent = Arc::clone(&session.agent);
        request.check(agent.id(), agent.capabilities()).at(Stage::Start)?;
        session.set_state(self, SessionState::Active).await?;
        if let Conversation::Resume(id) = &session.conversation {
            self.tell(task, vec![session_ready(id, &session.how)]).await;
        }
        let started = agent.start(request).await;
        if let Err(error) = &started {
            session.lose(self, error).await?;
        }
        let ended = match started.at(Stage::Start) {
            Ok(run) => {
                let run = veiled::veiled(run, &self.mask);
                self.follow(task, session, run, stop, turn).await
            }
            Err(halt) => Err(halt),
        };
        let state = match &ended {
            Ok(()) => SessionState::Completed,
            Err(Halt::Stopped) => SessionState::Idle,
            Err(Halt::Failed { .. }) if turn.timed_out => SessionState::Timeout,
            Err(Halt::Failed { .. }) => SessionState::Failed,
        };
        let recorded = session.set_state(self, state).await;
        ended.and(recorded)
    }

    fn ready(&self, worktree: &Worktree) -> Happening {
        Happening::WorktreeReady {
            branch: self.mask.text(&worktree.branch).into_owned(),
            path: shown(&worktree.path),
            created: worktree.created,
        }
    }

    /// What came of the turn, by the evidence in the worktree.
    async fn report(&self, issue: &kugetsu_core::IssueRef, turn: &Turn) -> Result<Report, Halt> {
        let mut report = turn.report();
        if let Some(status) = self.worktrees.inspect(issue).await.at(Stage::Run)? {
            // An agent may have named a branch after what it knows.
            report.branch = self.mask.text(&status.worktree.branch).into_owned();
            report.head = status.head;
            report.commits = status.ahead;
            report.uncommitted = status.dirty;
        }
        Ok(report)
    }

    /// Records what happens. Chatter is best effort: failing to record it never fails an attempt.
    async fn tell(&self, task: &Task, what: Vec<Happening>) {
        if let Some(log) = &self.log {
            log.tell(self.clock.now(), &what);
        }
        if let Some(context) = &self.context {
            self.warn(context.tell(self.clock.now(), &what).await);
        }
        let (what, begins) = self.ration.cut(what);
        if begins {
            self.warn(Some("the agent says too much; no more of it is recorded as events".into()));
        }
        if !what.is_empty() {
            let _ = self.queue.tell(task, what).await;
        }
    }
}

/// Does the work unless somebody wants the task to end. Both worktrees and sessions survive being
/// given up half-made.
async fn unless<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Halt>>,
) -> Result<T, Halt> {
    tokio::select! {
        done = work => done,
        () = stop.cancelled() => Err(Halt::Stopped),
    }
}

fn taken(slot: &Slot) -> Happening {
    Happening::SlotTaken { class: slot.key().to_string(), index: slot.index() }
}

fn session_ready(session: &AgentSessionId, how: &str) -> Happening {
    Happening::SessionReady { session: session.clone(), how: how.to_owned() }
}

fn agent(event: AgentEvent) -> Happening {
    Happening::Agent(event)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
