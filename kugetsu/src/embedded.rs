//! kugetsu in another program.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{
    AgentRunner, Cursor, Failure, QueueError, Queued, Request, SessionError, SessionKind,
    SessionQuery, SlotError, SlotKey, SlotPool, StoreError, Task, TaskId,
};
use kugetsu_queue::{Delivery, Engine, Follower, StartError, Wait};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::builder::Builder;
use crate::place::Home;

/// kugetsu in a program of your own. Clones are the same one.
///
/// # Promises
///
/// * What [`enqueue`](Self::enqueue) has returned is in the store, and [`run_until`](Self::run_until)
///   of whatever program shares the store carries it out.
/// * However many share a directory of slots: there are never more agents at work than the limit.
/// * An agent does not outlive the call that runs it: dropping the future of [`start`](Self::start) or
///   [`run_until`](Self::run_until) stops it, with everything that it has started.
#[derive(Clone)]
pub struct Kugetsu {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) slots: Arc<dyn SlotPool>,
    pub(crate) agents: Vec<Arc<dyn AgentRunner>>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) drain: Duration,
    pub(crate) initialised: OnceCell<()>,
    /// Goes away with the last clone, if it is not the user's.
    pub(crate) _home: Home,
}

/// Why nothing could be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The base session or the PM's is missing and could not be made.
    #[error("the base session could not be made: {reason}", reason = .0.reason)]
    Base(Failure),
    /// The sessions' store failed.
    #[error(transparent)]
    Sessions(#[from] SessionError),
    /// Nothing was started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The slot pool's.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The queue's.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Kugetsu {
    /// Puts one together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Makes the base session and the PM's, if they are missing. Whatever starts an agent calls it. Of
    /// several programs on one directory that begin at once, one makes them.
    pub async fn init(&self) -> Result<(), EmbedError> {
        let inner = &self.inner;
        inner.initialised.get_or_try_init(|| inner.make_base()).await.copied()
    }

    /// Runs an agent for the request, here and now: waits for a slot as long as it takes, makes one
    /// attempt, and returns the settled task, whose outcome says what came of it.
    ///
    /// Dropping the future stops the agent. [`engine`](Self::engine) has a `start` that waits for less.
    pub async fn start(&self, request: Request) -> Result<Task, EmbedError> {
        self.init().await?;
        let stop = CancellationToken::new();
        let started = self.inner.engine.start(request, Wait::Forever, stop, |_| {});
        Ok(Box::pin(started).await?)
    }

    /// Queues the request and returns its task at once. Whoever [runs](Self::run_until) carries it out,
    /// in whatever process.
    pub async fn enqueue(&self, request: Request) -> Result<Task, EmbedError> {
        let queue = self.inner.engine.queue();
        self.put(queue.task(request)).await
    }

    /// As [`enqueue`](Self::enqueue), under a key of the caller's own: asking for the same again under
    /// it is asking once, and returns the task that there is, however far it is. Asking for something
    /// else under it is refused.
    pub async fn enqueue_once(&self, key: &str, request: Request) -> Result<Task, EmbedError> {
        let queue = self.inner.engine.queue();
        self.put(queue.keyed_task(key, request)).await
    }

    async fn put(&self, task: Task) -> Result<Task, EmbedError> {
        match self.inner.engine.queue().enqueue(&task).await? {
            Queued::Already(stored) => Ok(*stored),
            Queued::New => Ok(task),
        }
    }

    /// The task as it is now.
    pub async fn task(&self, task: TaskId) -> Result<Task, EmbedError> {
        Ok(self.inner.engine.queue().load(task).await?)
    }

    /// Waits until the task is settled, whoever carries it out, and returns it.
    pub async fn settled(&self, task: TaskId) -> Result<Task, EmbedError> {
        // From before the look on, so that nothing is missed in between.
        let mut events = self.follow().await?;
        loop {
            let stored = self.task(task).await?;
            if stored.is_settled() {
                return Ok(stored);
            }
            while !events.next().await?.iter().any(|(_, event)| event.task == task) {}
        }
    }

    /// Ends a task: at once, or as soon as its agent is stopped.
    pub async fn cancel(&self, task: TaskId) -> Result<Task, EmbedError> {
        Ok(self.inner.engine.queue().cancel(task).await?)
    }

    /// What happens from now on, whoever does it.
    pub async fn follow(&self) -> Result<Follower, EmbedError> {
        let events = self.inner.engine.events();
        Ok(events.follow(events.end().await?))
    }

    /// What has happened after `cursor`, and what happens from now on; [`Cursor`]`(0)` is the
    /// beginning.
    pub fn follow_from(&self, cursor: Cursor) -> Follower {
        self.inner.engine.events().follow(cursor)
    }

    /// Ends what agents keep alive between two runs, such as opencode's server, and whatever still
    /// runs; returns when nothing of it is left. Without it that ends with this program, or a while
    /// after its last run.
    pub async fn shut_down(&self) {
        for agent in &self.inner.agents {
            agent.shut_down().await;
        }
    }

    /// The engine, for whatever is not here.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }
}

impl Inner {
    async fn make_base(&self) -> Result<(), EmbedError> {
        // An agent that has to be started for it is not started for what is there.
        if self.has_base().await? {
            return Ok(());
        }
        // As the command does: whoever has the PM's slot makes it.
        let _alone = self.slots.acquire(&SlotKey::Pm, "the base session").await?;
        if self.has_base().await? {
            return Ok(());
        }
        self.engine.init().await.map(drop).map_err(EmbedError::Base)
    }

    async fn has_base(&self) -> Result<bool, EmbedError> {
        for kind in [SessionKind::Base, SessionKind::Pm] {
            if self.engine.sessions().find(&SessionQuery::of(kind)).await?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Kugetsu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kugetsu").field("engine", &self.inner.engine).finish_non_exhaustive()
    }
}
