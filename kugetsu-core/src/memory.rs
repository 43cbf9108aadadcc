//! Stores and slots in memory: for tests, and for programs that need nothing to be durable.

mod slots;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::agent::Role;
use crate::event::Event;
use crate::ids::{Cursor, Revision, SessionId, TaskId};
use crate::memo::MemoStore;
use crate::session::{Session, SessionError, SessionQuery, SessionStore};
use crate::store::{EventLog, Expected, StoreError, TaskQuery, TaskStore};
use crate::task::Task;
use crate::time::{Due, Moment};

pub use slots::MemorySlots;

/// Tasks, events, sessions and memos in memory. Clones share them; all is gone with the last one.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tasks: Vec<Task>,
    events: Vec<Event>,
    sessions: Vec<Session>,
    memos: BTreeMap<String, String>,
}

impl State {
    /// The first open tasks of their lanes, oldest first.
    fn heads(&self, role: Role) -> impl Iterator<Item = &Task> {
        let mut lanes = HashSet::new();
        self.tasks
            .iter()
            .filter(move |task| task.request.role() == role && !task.is_settled())
            .filter(move |task| lanes.insert(task.lane()))
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // Nothing below panics between two changes that belong together, so that what a panicking
    // thread leaves is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let mut state = self.state();
        state.events.extend_from_slice(events);
        Ok(Cursor(state.events.len() as u64))
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        let state = self.state();
        let first = usize::try_from(after.0).unwrap_or(usize::MAX);
        let events = state.events.iter().enumerate().skip(first).take(limit as usize);
        Ok(events.map(|(index, event)| (Cursor(index as u64 + 1), event.clone())).collect())
    }
}

#[async_trait]
impl TaskStore for MemoryStore {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let conflict = StoreError::Conflict { task: task.id };
        let stored = state.tasks.iter().position(|other| other.id == task.id);
        match (stored, expected) {
            (None, Expected::Absent) => state.tasks.push(task.clone()),
            (Some(index), Expected::At(revision)) if state.tasks[index].revision == revision => {
                state.tasks[index] = task.clone();
            }
            _ => return Err(conflict),
        }
        state.events.extend_from_slice(events);
        Ok(())
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        Ok(self.state().tasks.iter().find(|task| task.id == id).cloned())
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        let state = self.state();
        let mut due: Vec<&Task> = state
            .heads(role)
            .filter(|task| task.due().is_some_and(|due| due.reached(now)))
            .collect();
        // Stable, so that the oldest stays first among equals.
        due.sort_by_key(|task| std::cmp::Reverse(task.priority));
        Ok(due.into_iter().take(limit as usize).cloned().collect())
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        let state = self.state();
        Ok(state.heads(role).filter_map(Task::due).min_by_key(|due| due.wait(now)))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        let state = self.state();
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(state.tasks.iter().filter(|task| query.matches(task)).take(limit).cloned().collect())
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        let mut state = self.state();
        let found = |task: &Task| task.id == id && task.revision == expected;
        let index = state.tasks.iter().position(found).ok_or(StoreError::Conflict { task: id })?;
        state.tasks.remove(index);
        Ok(())
    }
}

#[async_trait]
impl MemoStore for MemoryStore {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.state().memos.get(name).cloned())
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        let mut state = self.state();
        match text {
            Some(text) => state.memos.insert(name.to_owned(), text.to_owned()),
            None => state.memos.remove(name),
        };
        Ok(())
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let state = self.state();
        let begin_so = state.memos.range(prefix.to_owned()..);
        let begin_so = begin_so.take_while(|(name, _)| name.starts_with(prefix));
        Ok(begin_so.map(|(name, text)| (name.clone(), text.clone())).collect())
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let mut state = self.state();
        let conflict = SessionError::Conflict { kind: session.kind.clone() };
        let stored = state.sessions.iter().position(|other| other.id == session.id);
        let kind_is_taken =
            state.sessions.iter().any(|other| other.id != session.id && other.kind == session.kind);
        if kind_is_taken {
            return Err(conflict);
        }
        let mut next = session.clone();
        match (stored, expected) {
            (None, Expected::Absent) => {
                next.revision = Revision(1);
                state.sessions.push(next);
                Ok(Revision(1))
            }
            (Some(index), Expected::At(revision)) if state.sessions[index].revision == revision => {
                next.revision = revision.next();
                state.sessions[index] = next;
                Ok(revision.next())
            }
            _ => Err(conflict),
        }
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        Ok(self.state().sessions.iter().find(|session| session.id == id).cloned())
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let state = self.state();
        let wanted =
            |session: &&Session| query.kind.as_ref().is_none_or(|kind| session.kind == *kind);
        let mut found: Vec<Session> = state.sessions.iter().filter(wanted).cloned().collect();
        found.sort_by(|a, b| a.kind.cmp(&b.kind));
        Ok(found)
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        self.state().sessions.retain(|session| session.id != id);
        Ok(())
    }
}
