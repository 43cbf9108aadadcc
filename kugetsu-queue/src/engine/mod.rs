//! The engine: tasks carried out on the line, by whoever embeds it.

mod beside;
mod pulse;
mod recover;
mod room;
mod serve;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kugetsu_core::{
    AgentId, AgentRunner, Backoff, Cause, Chance, Clock, Event, EventLog as _, Failure, Happening,
    IssueRef, MemoStore, MemoryStore, RepoRef, SessionStore, SlotPool, Task, TaskId, TaskQueue,
    TaskStore, Tick, Timestamp, WorkerId, WorktreeProvider,
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use pulse::Pulse;
pub use recover::Recovered;
pub use serve::{ServeError, Shutdown};
pub use start::{StartError, Wait};

use crate::admission::{Admission, Lack};
use crate::context::Contexts;
use crate::hold::{Circuit, Ended, HoldKind, Holds};
use crate::line::rules::Prompts;
use crate::line::{Agents, Base, Halt, LeaseEnd, Limits, Line, Ration, Turn, masked};
use crate::logs::Logs;
use crate::mask::Mask;
use crate::watch::WatchedStore;

/// The backends that an engine stands on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Backends {
    /// Tasks and events.
    pub tasks: Arc<dyn TaskStore>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Slots. Engines over one pool keep one limit together.
    pub slots: Arc<dyn SlotPool>,
    /// Worktrees.
    pub worktrees: Arc<dyn WorktreeProvider>,
    /// The agent that works on issues unless another one is asked for.
    pub agent: Arc<dyn AgentRunner>,
    /// Others that a [request](kugetsu_core::Request::with_agent) may ask for by their id; none
    /// unless set.
    pub others: Vec<Arc<dyn AgentRunner>>,
    /// Which agent works on the issues of a repository, if it is not the default one.
    pub agent_for: BTreeMap<RepoRef, AgentId>,
    /// The PM's agent: the same one unless set.
    pub pm_agent: Arc<dyn AgentRunner>,
    /// What is remembered by name, such as that the queue is paused: in memory unless set.
    pub memos: Arc<dyn MemoStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
}

impl Backends {
    /// These backends, with this time and this chance.
    pub fn new(
        (tasks, sessions): (Arc<dyn TaskStore>, Arc<dyn SessionStore>),
        slots: Arc<dyn SlotPool>,
        worktrees: Arc<dyn WorktreeProvider>,
        agent: Arc<dyn AgentRunner>,
        (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>),
    ) -> Self {
        let (pm_agent, memos) = (Arc::clone(&agent), Arc::new(MemoryStore::new()));
        let (others, agent_for) = (Vec::new(), BTreeMap::new());
        Self {
            tasks,
            sessions,
            slots,
            worktrees,
            agent,
            others,
            agent_for,
            pm_agent,
            memos,
            clock,
            chance,
        }
    }

    /// Another agent beside the default one, for requests that ask for it by its id. Of two with one
    /// id the first counts.
    pub fn with_other_agent(mut self, agent: Arc<dyn AgentRunner>) -> Self {
        self.others.push(agent);
        self
    }

    /// Has this agent, the default one or one of the others, work on the issues of a repository that
    /// have no session yet, unless a request asks for another.
    pub fn with_agent_for(mut self, repository: RepoRef, agent: AgentId) -> Self {
        self.agent_for.insert(repository, agent);
        self
    }

    /// Another agent for the PM.
    pub fn with_pm_agent(mut self, agent: Arc<dyn AgentRunner>) -> Self {
        self.pm_agent = agent;
        self
    }

    /// Remembers by these memos, so that all engines over them know the same.
    pub fn with_memos(mut self, memos: Arc<dyn MemoStore>) -> Self {
        self.memos = memos;
        self
    }
}

/// Carries out tasks. Clones are the same engine.
///
/// # Promises
///
/// * There is one way on which an agent is started, so that the limit holds whoever starts it.
/// * An attempt that cannot renew its lease in time stops its agent without asking.
/// * A panic on the line ends its task as an error and nothing else.
/// * Dropping a future of this engine stops the agent that it runs. Its task then counts as lost
///   once its lease lapses, or as soon as the issue is started again.
#[derive(Debug, Clone)]
pub struct Engine {
    line: Line,
    slots: Arc<dyn SlotPool>,
    worker: WorkerId,
    store: WatchedStore,
    memos: Arc<dyn MemoStore>,
    /// How long a server waits before it looks for work that nobody told it of.
    interval: Duration,
    /// For the one suspect that may run.
    suspects: Arc<Semaphore>,
    /// What a server tells as long as it gets on.
    pulse: Option<Pulse>,
    admission: Option<Admission>,
    /// When it was last told that somebody waits for room; `None` if nobody does.
    told_room: Arc<Mutex<Option<(Tick, Lack)>>>,
    circuit: Option<Circuit>,
    /// Of two that ask at once whether they may try, the second one sees what the first one did.
    trying: Arc<tokio::sync::Mutex<()>>,
}

impl Engine {
    /// An engine over these backends whose work is done in the name of `worker`, which is unique
    /// among all that share the store. The base and the PM's session work in `home`, an existing
    /// directory that belongs to no repository.
    pub fn new(backends: Backends, worker: WorkerId, home: impl Into<PathBuf>) -> Self {
        let store = WatchedStore::new(backends.tasks);
        let clock = Arc::clone(&backends.clock);
        let chance = Arc::clone(&backends.chance);
        let line = Line {
            queue: TaskQueue::new(Arc::new(store.clone()), clock, chance),
            sessions: backends.sessions,
            worktrees: backends.worktrees,
            agents: Agents {
                default: backends.agent,
                others: backends.others,
                of_repositories: backends.agent_for,
            },
            pm_agent: backends.pm_agent,
            clock: backends.clock,
            chance: backends.chance,
            limits: Limits::default(),
            base_branch: None,
            home: home.into(),
            prompts: Prompts::default(),
            mask: Arc::new(Mask::default()),
            logs: None,
            log: None,
            contexts: None,
            context: None,
            ration: Ration::default(),
        };
        let (slots, memos) = (backends.slots, backends.memos);
        let (interval, suspects) = (serve::INTERVAL, Arc::new(Semaphore::new(1)));
        Self {
            line,
            slots,
            worker,
            store,
            memos,
            interval,
            suspects,
            pulse: None,
            admission: None,
            told_room: Arc::default(),
            circuit: None,
            trying: Arc::default(),
        }
    }

    /// How long things may take.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.line.limits = limits;
        self
    }

    /// The branch that worktrees start from; the remote's default unless set.
    pub fn with_base_branch(mut self, branch: Option<String>) -> Self {
        self.line.base_branch = branch;
        self
    }

    /// What agents are told before each message; the built-in rules unless set.
    pub fn with_prompts(mut self, prompts: Prompts) -> Self {
        self.line.prompts = prompts;
        self
    }

    /// Masks these secrets in all that an agent says and does before anybody else sees it: in events
    /// and so in notices, in logs, reports and reasons of failures. The agent has the real ones.
    pub fn with_mask(mut self, mask: Arc<Mask>) -> Self {
        self.line.mask = mask;
        self
    }

    /// What is masked.
    pub fn mask(&self) -> &Mask {
        &self.line.mask
    }

    /// Writes a log of each attempt here; none unless set.
    pub fn with_logs(mut self, logs: Logs) -> Self {
        self.line.logs = Some(logs);
        self
    }

    /// Keeps what is remembered of each issue here, and tells it to whoever follows a session that was
    /// lost; not kept unless set.
    pub fn with_contexts(mut self, contexts: Contexts) -> Self {
        self.line.contexts = Some(contexts);
        self
    }

    /// When failed attempts of a task that may have several are repeated.
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.line.queue = self.line.queue.with_backoff(backoff);
        self
    }

    /// How long [`serve`](Self::serve) waits for work before it looks for some that nobody told it
    /// of; 5 min unless set.
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_secs(1));
        self
    }

    /// The bell that is rung by every process that works on the same tasks, a FIFO in a directory
    /// that is there: [`serve`](Self::serve) then hears at once of what others enqueue. Without one it
    /// sees that at its next look.
    pub fn with_bell(mut self, path: impl Into<PathBuf>) -> Self {
        self.store = self.store.with_bell(path);
        self
    }

    /// Has [`serve`](Self::serve) call `beat` about every so often, for a watchdog: as long as it gets
    /// on, with or without work. While it hangs, in its store for instance, there is no beat.
    pub fn with_pulse(mut self, every: Duration, beat: impl Fn() + Send + Sync + 'static) -> Self {
        self.pulse = Some(Pulse::new(every, beat));
        self
    }

    /// Starts an agent only where the machine has room for it; not looked at unless set. Each agent
    /// passes this, the PM's too, after it has its slots and before it is claimed: whoever
    /// [serves](Self::serve) or waits looks again every two seconds, and no attempt is spent.
    pub fn with_admission(mut self, admission: Option<Admission>) -> Self {
        self.admission = admission;
        self
    }

    /// Has the queue rest when attempt after attempt fails, whatever the tasks are; never unless set.
    /// What is started by hand does not rest, and closes the circuit if it succeeds.
    pub fn with_circuit(mut self, circuit: Option<Circuit>) -> Self {
        self.circuit = circuit;
        self
    }

    /// The queue.
    pub fn queue(&self) -> &TaskQueue {
        &self.line.queue
    }

    /// What holds the queue.
    pub fn holds(&self) -> Holds {
        Holds::new(Arc::clone(&self.memos), Arc::clone(&self.line.clock), self.store.clone())
    }

    /// The sessions.
    pub fn sessions(&self) -> &Arc<dyn SessionStore> {
        &self.line.sessions
    }

    /// The events, to be followed.
    pub fn events(&self) -> &WatchedStore {
        &self.store
    }

    /// Makes the base session and the PM's, from which all others come. Those that are there are
    /// kept.
    pub async fn init(&self) -> Result<Base, Failure> {
        self.line.init().await.map_err(|halt| match halt {
            // There is no attempt that could have stopped at a stage.
            Halt::Failed { failure, .. } => failure,
            Halt::Stopped => Failure::passing("making the base session was stopped"),
        })
    }

    /// Carries out one attempt of a leased task, and settles it, has it tried again, or gives it
    /// back. `None` if the lease was lost: then somebody else decides. `stop` ends the task; if
    /// `shutdown` is cancelled too, it only ends the attempt, and costs none.
    async fn carry_out(
        &self,
        task: Task,
        slots: Vec<kugetsu_core::Slot>,
        stop: CancellationToken,
        shutdown: &CancellationToken,
    ) -> Result<Option<Task>, kugetsu_core::QueueError> {
        let (id, attempt) = (task.id, task.last_attempt());
        let began = task.attempts.last().map(|attempt| attempt.started);
        let issue = task.request.issue().cloned();
        let line = self.line.logged(&task, &self.worker);
        let log = line.clone();
        let halt = stop.clone();
        // Held until the task is settled: whoever gets the issue's slot takes this worker for dead.
        let _held = slots.clone();
        // A task of its own, so that a panic is an error value here.
        let walk = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut turn = Turn::default();
            let ended = Box::pin(line.walk(&task, slots, &halt, &mut turn)).await;
            (ended, turn.usage)
        }));
        let walked = tokio::select! {
            walked = walk => walked,
            lost = self.line.keep_lease(id, attempt, &stop) => {
                // The handle is dropped, and with it the run and everything that it started.
                let (LeaseEnd::Taken(why) | LeaseEnd::Unsure(why)) = lost;
                log.log_end(format!("lost: {why}"));
                self.tell_circuit(id, issue.as_ref(), began, Ended::Otherwise).await;
                return Ok(None);
            }
        };
        let queue = &self.line.queue;
        let told = match &walked {
            Ok((Ok(_), _)) => Ended::Well,
            Ok((Err(halt), _)) => badly(halt, &log.mask),
            Err(_) => Ended::Otherwise,
        };
        self.tell_circuit(id, issue.as_ref(), began, told).await;
        let settled = match walked {
            Ok((Ok(report), usage)) => {
                log.log_end("completed");
                self.let_go(began).await;
                let outcome = kugetsu_core::Outcome::Completed { report };
                queue.settle(id, attempt, outcome, usage).await
            }
            Ok((Err(Halt::Stopped), usage)) if shutdown.is_cancelled() => {
                log.log_end("given back: kugetsu was shut down");
                queue.release(id, attempt, "kugetsu was shut down", usage).await
            }
            Ok((Err(Halt::Stopped), usage)) => {
                log.log_end("cancelled");
                queue.settle(id, attempt, kugetsu_core::Outcome::Cancelled, usage).await
            }
            Ok((Err(halt), usage)) => {
                self.hold(&halt).await;
                let failure = halt.into_failure().unwrap_or_else(|| Failure::passing("stopped"));
                let failure = masked(&log.mask, failure);
                log.log_end(format!("failed: {failure}"));
                queue.fail(id, attempt, failure, usage).await
            }
            Err(panic) => {
                let failure = Failure::fatal(format!("kugetsu itself failed: {panic}"));
                let failure = masked(&log.mask, failure);
                log.log_end(format!("failed: {failure}"));
                queue.fail(id, attempt, failure, kugetsu_core::Usage::default()).await
            }
        };
        match settled {
            Ok(task) => Ok(Some(task)),
            Err(error) if error.lease_is_lost() => {
                log.log_end("lost: somebody else decides about the task");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Holds the queue if the attempt met a limit of the model's provider. Told before the task is:
    /// nobody else is to meet it. If it cannot be recorded, the task waits all the same.
    async fn hold(&self, halt: &Halt) {
        let Halt::Failed { failure, .. } = halt else { return };
        if let Cause::Limit { provider } = &failure.cause {
            let (wait, reason) = (failure.retry.wait(), self.line.mask.cut_text(&failure.reason));
            let _ = self.holds().hold_provider(provider, &reason, wait).await;
        }
    }

    /// Has the queue rest if this is the last of several attempts that failed in a row, and tells it
    /// before the task is settled: nobody else is to begin meanwhile. If it cannot be recorded, nothing
    /// rests.
    async fn tell_circuit(
        &self,
        id: TaskId,
        issue: Option<&IssueRef>,
        began: Option<Timestamp>,
        how: Ended,
    ) {
        let Some(circuit) = &self.circuit else { return };
        let _one = self.trying.lock().await;
        let Ok(Some((reason, until))) = self.holds().ended(circuit, (id, began), how).await else {
            return;
        };
        let now = self.line.clock.moment();
        let held = Happening::QueueHeld { reason, until: now.at.plus(until.wait(now)) };
        let _ = self.store.append(&[Event::new(now.at, id, issue.cloned(), held)]).await;
    }

    /// Lets the queue go on after a success whose attempt began while it was held: the provider
    /// answers again. An older attempt may have got its last answer before the limit was met.
    async fn let_go(&self, began: Option<Timestamp>) {
        let (Some(began), holds) = (began, self.holds()) else { return };
        for hold in holds.active().await.unwrap_or_default() {
            if let HoldKind::Provider(provider) = &hold.kind
                && hold.since < began
            {
                let _ = holds.release_provider(provider).await;
            }
        }
    }
}

/// What a failure says of other attempts.
fn badly(halt: &Halt, mask: &Mask) -> Ended {
    match halt {
        Halt::Failed { failure, .. }
            if failure.retry.is_possible() && !matches!(failure.cause, Cause::Limit { .. }) =>
        {
            Ended::Badly { reason: mask.cut_text(&failure.reason).into_owned() }
        }
        _ => Ended::Otherwise,
    }
}
