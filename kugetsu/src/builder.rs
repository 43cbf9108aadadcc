//! Putting the backends together.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::ids::InvalidName;
use kugetsu_core::{
    AgentId, AgentRunner, Chance, Clock, MemoStore, MemorySlots, MemoryStore, Notifier, RepoRef,
    SessionStore, SlotError, SlotPool, StoreError, TaskStore, WorktreeProvider,
};
#[cfg(feature = "git")]
use kugetsu_git::Source;
use kugetsu_queue::{
    Admission, Backends, Circuit, Delivery, Engine, FileSlots, SlotLimits, SystemChance,
    SystemClock, ThisMachine, new_worker,
};
use tokio::sync::OnceCell;

use crate::embedded::{Inner, Kugetsu};
use crate::place::{self, Home};

/// How many agents work at once unless set.
const AT_ONCE: u32 = 3;

/// How long running agents have to end when a program shuts down, unless set.
const DRAIN: Duration = Duration::from_mins(5);

/// Changes an engine before it is used.
type Tuning = Box<dyn FnOnce(Engine) -> Engine + Send>;

/// Tasks, sessions and memos, by one store.
pub(crate) struct Stores {
    tasks: Arc<dyn TaskStore>,
    sessions: Arc<dyn SessionStore>,
    memos: Arc<dyn MemoStore>,
}

/// Puts a [`Kugetsu`] together. Whatever is not given has a default:
///
/// | what | without a directory | with [`directory`](Self::directory) |
/// |---|---|---|
/// | store | in memory | the one that is there, else SQLite (feature `sqlite`) |
/// | slots | in memory, 3 | kernel locks in `slots/`, 3 |
/// | worktrees | has to be given | git, in `worktrees/` and `repos/` (feature `git`) |
/// | agent | has to be given | opencode from the `PATH` (feature `opencode`) |
/// | logs, contexts | none | `logs/`, `context/` |
/// | clock, chance | the machine's | the machine's |
/// | room on the machine | memory is looked at | memory and the disk are looked at |
#[derive(Default)]
pub struct Builder {
    directory: Option<PathBuf>,
    stores: Option<Stores>,
    slots: Option<Arc<dyn SlotPool>>,
    at_once: Option<u32>,
    worktrees: Option<Arc<dyn WorktreeProvider>>,
    agent: Option<Arc<dyn AgentRunner>>,
    pm_agent: Option<Arc<dyn AgentRunner>>,
    others: Vec<Arc<dyn AgentRunner>>,
    agent_for: Vec<(RepoRef, AgentId)>,
    notifiers: Vec<Arc<dyn Notifier>>,
    time: Option<(Arc<dyn Clock>, Arc<dyn Chance>)>,
    drain: Option<Duration>,
    admission: Reserves,
    tuning: Vec<Tuning>,
    #[cfg(feature = "git")]
    sources: Vec<(RepoRef, Source)>,
}

/// How much room an agent finds before it starts.
#[derive(Default)]
enum Reserves {
    #[default]
    Usual,
    Set(Option<Admission>),
}

/// Why the backends could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no agent.
    #[error("no agent was given; call `agent`, or `directory` with the feature `opencode`")]
    NoAgent,
    /// There are no worktrees.
    #[error("no worktrees were given; call `worktrees`, or `directory` with the feature `git`")]
    NoWorktrees,
    /// The directory has a store that this program cannot open, or none that it could make.
    #[error("there is no store for {directory}: {why}", directory = directory.display())]
    NoStore {
        /// Which directory.
        directory: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// A directory could not be made.
    #[error("could not make {path}: {source}", path = path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// The error below.
        source: io::Error,
    },
    /// The machine's clock cannot be used.
    #[error("the machine's clock cannot be used: {0}")]
    Clock(io::Error),
    /// The worker has no name.
    #[error(transparent)]
    Worker(#[from] InvalidName),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The slot pool's.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The agent's.
    #[error(transparent)]
    Agent(#[from] kugetsu_core::AgentError),
}

impl Builder {
    /// Keeps everything in this directory, which is made if need be (only its owner can enter it): the
    /// same that the command `kugetsu` uses, if it is given its `KUGETSU_DIR`. The command's settings,
    /// variables and servers are not read; its `repos.json` is.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Keeps tasks, sessions and memos in this store.
    pub fn store(mut self, store: impl TaskStore + SessionStore + MemoStore) -> Self {
        self.stores = Some(store.into());
        self
    }

    /// Keeps tasks, sessions and memos in a store each.
    pub fn stores(
        mut self,
        tasks: Arc<dyn TaskStore>,
        sessions: Arc<dyn SessionStore>,
        memos: Arc<dyn MemoStore>,
    ) -> Self {
        self.stores = Some(Stores { tasks, sessions, memos });
        self
    }

    /// Takes slots from this pool. Its own limit counts, not [`at_once`](Self::at_once).
    pub fn slots(mut self, slots: impl SlotPool) -> Self {
        self.slots = Some(Arc::new(slots));
        self
    }

    /// How many agents work at once; 3 unless set. Whoever shares a directory of slots gives the same
    /// number: each takes one of the first so many places, so the largest number is the limit of all.
    pub fn at_once(mut self, agents: u32) -> Self {
        self.at_once = Some(agents);
        self
    }

    /// Where a repository comes from, for the worktrees of a directory. Whichever is not named comes
    /// from where the directory's `repos.json` says, or else from `https://host/owner/repo.git`.
    #[cfg(feature = "git")]
    pub fn source(mut self, repository: RepoRef, source: Source) -> Self {
        self.sources.push((repository, source));
        self
    }

    /// Who makes worktrees.
    pub fn worktrees(mut self, worktrees: impl WorktreeProvider) -> Self {
        self.worktrees = Some(Arc::new(worktrees));
        self
    }

    /// The agent that works unless a request asks for another.
    pub fn agent(mut self, agent: impl AgentRunner) -> Self {
        self.agent = Some(Arc::new(agent));
        self
    }

    /// Another agent, for [requests that ask for it](kugetsu_core::Request::with_agent) by its id.
    pub fn other_agent(mut self, agent: impl AgentRunner) -> Self {
        self.others.push(Arc::new(agent));
        self
    }

    /// Has this agent, the default one or one of the others, work on the issues of a repository.
    pub fn agent_for(mut self, repository: RepoRef, agent: AgentId) -> Self {
        self.agent_for.push((repository, agent));
        self
    }

    /// The PM's agent; the default one unless set.
    pub fn pm_agent(mut self, agent: impl AgentRunner) -> Self {
        self.pm_agent = Some(Arc::new(agent));
        self
    }

    /// Brings notices here while the program [runs](Kugetsu::run_until), each at least once. A sink of
    /// a name that is new to the store begins with what happens from [`build`](Self::build) on.
    pub fn notifier(mut self, notifier: impl Notifier) -> Self {
        self.notifiers.push(Arc::new(notifier));
        self
    }

    /// Another clock and another chance than the machine's.
    pub fn time(mut self, clock: impl Clock, chance: impl Chance) -> Self {
        self.time = Some((Arc::new(clock), Arc::new(chance)));
        self
    }

    /// How long running agents have to end when the program shuts down, before they are stopped; 5 min
    /// unless set. What is stopped goes back to the queue, at no cost.
    pub fn drain(mut self, patience: Duration) -> Self {
        self.drain = Some(patience);
        self
    }

    /// How much room the machine has to have for an agent to start, or that nobody looks; the usual
    /// reserves unless set. Agents that run are never stopped for it.
    pub fn admission(mut self, admission: Option<Admission>) -> Self {
        self.admission = Reserves::Set(admission);
        self
    }

    /// Whatever else an engine can be told: limits, prompts, a mask, the base branch.
    pub fn tune(mut self, tune: impl FnOnce(Engine) -> Engine + Send + 'static) -> Self {
        self.tuning.push(Box::new(tune));
        self
    }

    /// Puts it together. Nothing is started.
    pub async fn build(self) -> Result<Kugetsu, BuildError> {
        // Agents do not work where this program does, so that a relative path would mean another one.
        let directory = self.directory.as_deref().map(place::made).transpose()?;
        let directory = directory.as_deref();
        let home = Home::open(directory)?;
        let stores = match (self.stores, directory) {
            (Some(stores), _) => stores,
            (None, Some(directory)) => place::stores(directory).await?,
            (None, None) => MemoryStore::new().into(),
        };
        let at_once = self.at_once.unwrap_or(AT_ONCE);
        let slots: Arc<dyn SlotPool> = match (self.slots, directory) {
            (Some(slots), _) => slots,
            (None, Some(directory)) => {
                Arc::new(FileSlots::open(directory.join("slots"), SlotLimits::new(at_once))?)
            }
            (None, None) => Arc::new(MemorySlots::new(at_once)),
        };
        #[cfg(feature = "git")]
        let own = |directory| Some(place::worktrees(directory, self.sources));
        #[cfg(not(feature = "git"))]
        let own = |_| None;
        let worktrees = self.worktrees.or_else(|| directory.and_then(own));
        let worktrees = worktrees.ok_or(BuildError::NoWorktrees)?;
        let agent = match self.agent {
            Some(agent) => Some(agent),
            None => directory.map(place::agent).transpose()?.flatten(),
        };
        let agent = agent.ok_or(BuildError::NoAgent)?;
        let time = match self.time {
            Some(time) => time,
            None => (
                Arc::new(SystemClock::new().map_err(BuildError::Clock)?) as _,
                Arc::new(SystemChance) as _,
            ),
        };
        let mut agents = vec![Arc::clone(&agent)];
        agents.extend(self.others.iter().chain(&self.pm_agent).cloned());
        let kept = (stores.tasks, stores.sessions);
        let backends = Backends::new(kept, Arc::clone(&slots), worktrees, agent, time)
            .with_memos(Arc::clone(&stores.memos));
        let backends = match self.pm_agent {
            Some(agent) => backends.with_pm_agent(agent),
            None => backends,
        };
        let backends = self.others.into_iter().fold(backends, Backends::with_other_agent);
        let of =
            |backends: Backends, (repository, agent)| backends.with_agent_for(repository, agent);
        let backends = self.agent_for.into_iter().fold(backends, of);
        let engine = Engine::new(backends, new_worker()?, home.path());
        let admission = match self.admission {
            Reserves::Set(admission) => admission,
            Reserves::Usual => {
                let places =
                    directory.map(|directory| [directory.join("worktrees"), directory.into()]);
                Some(Admission::new(ThisMachine::new(places.into_iter().flatten())))
            }
        };
        let engine = engine.with_admission(admission).with_circuit(Some(Circuit::default()));
        let engine = match directory {
            Some(directory) => place::furnished(engine, directory)?,
            None => engine,
        };
        let engine = self.tuning.into_iter().fold(engine, |engine, tune| tune(engine));
        let mut deliveries = Vec::new();
        for notifier in self.notifiers {
            let (events, clock) = (engine.events().clone(), engine.queue().clock().clone());
            let delivery = Delivery::new(events, stores.memos.clone(), clock, notifier);
            delivery.begin().await?;
            deliveries.push(delivery);
        }
        Ok(Kugetsu::new(Inner {
            engine,
            slots,
            agents,
            deliveries,
            drain: self.drain.unwrap_or(DRAIN),
            initialised: OnceCell::new(),
            _home: home,
        }))
    }
}

impl<S: TaskStore + SessionStore + MemoStore> From<S> for Stores {
    fn from(store: S) -> Self {
        let store = Arc::new(store);
        Self { tasks: store.clone(), sessions: store.clone(), memos: store }
    }
}
