mod faults;
mod rules;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    Cursor, Due, Event, EventLog, Expected, Moment, Retry, Revision, Role, Session, SessionError,
    SessionId, SessionQuery, SessionStore, StoreError, Task, TaskId, TaskQuery, TaskStore,
    Timestamp,
};
use tokio::sync::Mutex;

use faults::Faults;
pub use faults::{StoreFault, StoreOperation};

/// A store that is stricter with its callers than any real one: whoever writes what nobody may
/// write is told with a panic. It also fails when a test wants it to. Clones share it.
///
/// No caller may
///
/// * write a revision that is not the expected one's successor;
/// * tell events of another task, tell of a change that is not made, make one without telling, or
///   tell of one outside of the commit that makes it;
/// * change a task otherwise than [`Task::apply`] does, above all a settled one;
/// * remove a task that is not settled;
/// * write again what is written already (renewing a lease is no such write);
/// * tell of something before what was told of that task last;
/// * change a session's kind, agent or birth, forget its agent session, or let it grow younger.
pub struct StrictStore<S: ?Sized> {
    shared: Arc<Shared>,
    inner: Arc<S>,
}

#[derive(Debug, Default)]
struct Shared {
    faults: Faults,
    /// Who has it writes, and knows when each task was told of last.
    last_told: Mutex<HashMap<TaskId, Timestamp>>,
}

impl<S: ?Sized> StrictStore<S> {
    /// Watches over this store. Everybody has to write through the watched one.
    pub fn new(inner: Arc<S>) -> Self {
        Self { shared: Arc::default(), inner }
    }

    /// Lets the `nth` call of `operation` from now on fail, where 1 is the next.
    ///
    /// # Panics
    ///
    /// If `nth` is 0, or if the operation has no such fault.
    pub fn fail(&self, operation: StoreOperation, nth: u32, fault: StoreFault) {
        self.shared.faults.plan(operation, nth, fault);
    }
}

impl<S: ?Sized> Clone for StrictStore<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), inner: Arc::clone(&self.inner) }
    }
}

impl<S: fmt::Debug + ?Sized> fmt::Debug for StrictStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrictStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Panics with what the caller did wrong.
#[track_caller]
fn demand(rule: Result<(), String>) {
    if let Err(wrong) = rule {
        panic!("the strict store was given what nobody may write: {wrong}");
    }
}

fn who() -> String {
    "the strict store".to_owned()
}

fn broken(operation: StoreOperation, retry: Retry) -> StoreError {
    StoreError::Backend {
        who: who(),
        operation: operation.to_string(),
        retry,
        source: "the test lets it fail".into(),
    }
}

fn broken_session(operation: StoreOperation, retry: Retry) -> SessionError {
    SessionError::Backend {
        who: who(),
        operation: operation.to_string(),
        retry,
        source: "the test lets it fail".into(),
    }
}

impl<S: ?Sized> StrictStore<S> {
    /// Does it, unless it is to fail. A lost answer is lost after it has been done.
    async fn unless_planned<T, E>(
        &self,
        operation: StoreOperation,
        broken: impl Fn(StoreOperation, Retry) -> E,
        conflict: impl FnOnce() -> Option<E>,
        done: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.shared.faults.next(operation) {
            None => done.await,
            Some(StoreFault::Backend(retry)) => Err(broken(operation, retry)),
            Some(StoreFault::AnswerLost) => {
                done.await?;
                Err(broken(operation, Retry::Later))
            }
            Some(StoreFault::Conflict) => {
                Err(conflict().unwrap_or_else(|| broken(operation, Retry::Later)))
            }
        }
    }
}

#[async_trait]
impl<S: TaskStore + ?Sized> EventLog for StrictStore<S> {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        for event in events {
            let task = self.inner.load(event.task).await?;
            demand(rules::appended(event, task.as_ref()));
        }
        let done = self.inner.append(events);
        self.unless_planned(StoreOperation::Append, broken, || None, done).await
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        let done = self.inner.read(after, limit);
        self.unless_planned(StoreOperation::Read, broken, || None, done).await
    }
}

#[async_trait]
impl<S: TaskStore + ?Sized> TaskStore for StrictStore<S> {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        demand(rules::committed(task, expected, events));
        let mut last_told = self.shared.last_told.lock().await;
        let before = self.inner.load(task.id).await?;
        let done = async {
            self.inner.commit(task, expected, events).await?;
            // Only of what was accepted it is known what it stood upon.
            demand(rules::changed(before.as_ref(), task, events));
            for event in events {
                let last = last_told.insert(task.id, event.at);
                demand(rules::told(event, last));
            }
            Ok(())
        };
        let conflict = || Some(StoreError::Conflict { task: task.id });
        self.unless_planned(StoreOperation::Commit, broken, conflict, done).await
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.unless_planned(StoreOperation::Load, broken, || None, self.inner.load(id)).await
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        self.unless_planned(StoreOperation::Due, broken, || None, self.inner.due(now, role, limit))
            .await
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        self.inner.next_due(now, role).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.unless_planned(StoreOperation::List, broken, || None, self.inner.list(query)).await
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        if let Some(task) = self.inner.load(id).await? {
            demand(rules::removed(&task));
        }
        let done = self.inner.remove(id, expected);
        let conflict = || Some(StoreError::Conflict { task: id });
        self.unless_planned(StoreOperation::Clear, broken, conflict, done).await
    }
}

#[async_trait]
impl<S: SessionStore + ?Sized> SessionStore for StrictStore<S> {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let _one_at_a_time = self.shared.last_told.lock().await;
        let before = self.inner.load(session.id).await?;
        let done = async {
            let revision = self.inner.put(session, expected).await?;
            demand(rules::put(before.as_ref(), session));
            Ok(revision)
        };
        let conflict = || Some(SessionError::Conflict { kind: session.kind.clone() });
        self.unless_planned(StoreOperation::Put, broken_session, conflict, done).await
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        let done = self.inner.load(id);
        self.unless_planned(StoreOperation::Load, broken_session, || None, done).await
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let done = self.inner.find(query);
        self.unless_planned(StoreOperation::Find, broken_session, || None, done).await
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        let done = self.inner.remove(id);
        self.unless_planned(StoreOperation::Remove, broken_session, || None, done).await
    }
}
