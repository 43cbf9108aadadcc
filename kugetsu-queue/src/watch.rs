//! Following the event log: the one way to hear what happens.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    Cursor, Due, Event, EventLog, Expected, Moment, Revision, Role, StoreError, Task, TaskId,
    TaskQuery, TaskStore,
};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::bell::Bell;

/// How long a follower waits for a wake-up from its own process before it looks for events that
/// another process has written.
const FALLBACK: Duration = Duration::from_secs(1);

/// A store that tells its followers when something was written through it.
#[derive(Debug, Clone)]
pub struct WatchedStore {
    inner: Arc<dyn TaskStore>,
    written: Arc<watch::Sender<()>>,
    /// As `written`, but only for what may have given somebody work.
    changed: Arc<watch::Sender<()>>,
    bell: Arc<OnceLock<Bell>>,
}

impl WatchedStore {
    /// Watches what is written to `inner` through this value and its clones.
    pub fn new(inner: Arc<dyn TaskStore>) -> Self {
        Self {
            inner,
            written: Arc::new(watch::channel(()).0),
            changed: Arc::new(watch::channel(()).0),
            bell: Arc::default(),
        }
    }

    /// Rings this bell, a FIFO in a directory that is there, after each commit, so that whoever
    /// serves the same store in another process looks at once. The first bell of a store and its
    /// clones stays.
    pub fn with_bell(self, path: impl Into<PathBuf>) -> Self {
        self.bell.get_or_init(|| Bell::new(path.into()));
        self
    }

    /// Has everybody look, in this process and in those that listen to the bell, who waits for a
    /// change: something that they go by was changed elsewhere than in the store.
    pub fn ring(&self) {
        self.nudge();
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    /// What tells that a task was changed, here or in a process that rang the bell.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Has everybody in this process look who waits for a change.
    pub(crate) fn nudge(&self) {
        self.changed.send_replace(());
        self.written.send_replace(());
    }

    /// Listens to the bell as long as the handle lives; `None` if there is no bell.
    pub(crate) fn listen(&self) -> io::Result<Option<AbortOnDropHandle<()>>> {
        let Some(bell) = self.bell.get() else { return Ok(None) };
        let (ear, store) = (bell.listen()?, self.clone());
        let listening = tokio::spawn(async move {
            while ear.rung().await.is_ok() {
                ear.silence();
                store.nudge();
            }
        });
        Ok(Some(AbortOnDropHandle::new(listening)))
    }

    /// Follows the log from after `cursor`. It misses nothing that is in the log, whoever wrote it.
    pub fn follow(&self, cursor: Cursor) -> Follower {
        let (store, written) = (Arc::clone(&self.inner), self.written.subscribe());
        Follower { store, written, cursor, look: FALLBACK }
    }

    /// The cursor of the log's end.
    pub async fn end(&self) -> Result<Cursor, StoreError> {
        self.inner.append(&[]).await
    }
}

/// A reader of the event log that waits at its end.
#[derive(Debug)]
pub struct Follower {
    store: Arc<dyn TaskStore>,
    written: watch::Receiver<()>,
    cursor: Cursor,
    look: Duration,
}

impl Follower {
    /// Looks this often for events of other processes that nothing tells of; every second unless
    /// set. A process that [serves](crate::Engine::serve) with a bell is told of all changes of tasks.
    pub fn with_look(mut self, look: Duration) -> Self {
        self.look = look;
        self
    }

    /// The next events, at least one. Waits until there are some: those written in this process
    /// wake it, those of other processes are found within a second, unless it
    /// [looks](Self::with_look) less often. May be dropped at any time.
    pub async fn next(&mut self) -> Result<Vec<(Cursor, Event)>, StoreError> {
        loop {
            self.written.mark_unchanged();
            let events = self.ready().await?;
            if !events.is_empty() {
                return Ok(events);
            }
            let _ = tokio::time::timeout(self.look, self.written.changed()).await;
        }
    }

    /// The next events that are there already; none if there are none.
    pub async fn ready(&mut self) -> Result<Vec<(Cursor, Event)>, StoreError> {
        let events = self.store.read(self.cursor, 256).await?;
        if let Some((cursor, _)) = events.last() {
            self.cursor = *cursor;
        }
        Ok(events)
    }
}

#[async_trait]
impl EventLog for WatchedStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let cursor = self.inner.append(events).await?;
        self.written.send_replace(());
        Ok(cursor)
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.inner.read(after, limit).await
    }
}

#[async_trait]
impl TaskStore for WatchedStore {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.inner.commit(task, expected, events).await?;
        self.ring();
        Ok(())
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.inner.load(id).await
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        self.inner.due(now, role, limit).await
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        self.inner.next_due(now, role).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.inner.list(query).await
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        self.inner.remove(id, expected).await
    }
}
