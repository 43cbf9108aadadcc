//! A store of one's own: tasks, events, sessions and memos in one file of JSON, for a few hundred
//! tasks. Each change writes the whole file anew, beside the old one, and puts it in its place.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use kugetsu::core::{
    Cursor, Due, Event, EventLog, Expected, MemoStore, Moment, Retry, Revision, Role, Session,
    SessionError, SessionId, SessionQuery, SessionStore, StoreError, Task, TaskId, TaskQuery,
    TaskStore,
};
use serde::{Deserialize, Serialize};

/// Everything in one file. Any number of processes may use it at once, on a local file system.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
}

/// What is in the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// In the order of their first commit.
    tasks: Vec<Task>,
    /// An event's cursor is its place, from 1.
    events: Vec<Event>,
    sessions: Vec<Session>,
    memos: BTreeMap<String, String>,
}

impl FileStore {
    /// The store in this file, which is made by the first change.
    pub fn new(path: impl AsRef<Path>) -> Self {
        // With a parent, also if it is only a name.
        Self { path: Path::new(".").join(path) }
    }

    /// Looks at what is stored. The file is always whole, so that this waits for nobody.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(State) -> T + Send + 'static,
    ) -> io::Result<T> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || read(&path).map(look)).await?
    }

    /// Changes what is stored, if `change` says that it may be; nobody else does meanwhile. It is on
    /// the disk when this returns. Dropping the future drops the answer, not the change.
    async fn change<T: Send + 'static, E: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, E> + Send + 'static,
    ) -> io::Result<Result<T, E>> {
        let path = self.path.clone();
        let work = tokio::task::spawn_blocking(move || {
            // The kernel lets go of the lock when the file is closed, however this process ends.
            let lock = File::create(path.with_extension("lock"))?;
            lock.lock()?;
            let mut state = read(&path)?;
            let changed = change(&mut state);
            if changed.is_ok() {
                write(&path, &state)?;
            }
            Ok(changed)
        });
        work.await?
    }

    fn fault(&self, operation: &str) -> impl Fn(io::Error) -> StoreError {
        let (who, operation) = (self.path.display().to_string(), operation.to_owned());
        move |error| match error.kind() {
            io::ErrorKind::InvalidData => {
                StoreError::Damaged { store: who.clone(), detail: error.to_string() }
            }
            _ => StoreError::Backend {
                who: who.clone(),
                operation: operation.clone(),
                retry: Retry::Later,
                source: error.into(),
            },
        }
    }

    fn session_fault(&self, operation: &str) -> impl Fn(io::Error) -> SessionError {
        let (who, operation) = (self.path.display().to_string(), operation.to_owned());
        move |error| SessionError::Backend {
            who: who.clone(),
            operation: operation.clone(),
            retry: if error.kind() == io::ErrorKind::InvalidData {
                Retry::Never
            } else {
                Retry::Later
            },
            source: error.into(),
        }
    }
}

fn read(path: &Path) -> io::Result<State> {
    match fs::read(path) {
        // Not even an empty file is an empty store: it has lost something.
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, state: &State) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(&serde_json::to_vec(state)?)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The new name is on the disk only when the directory is.
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[async_trait]
impl EventLog for FileStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let events = events.to_vec();
        let appended = self.change(move |state| {
            state.events.extend(events);
            Ok::<_, StoreError>(Cursor(state.events.len() as u64))
        });
        appended.await.map_err(self.fault("append events"))?
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        let read = self.look(move |state| {
            let numbered = (1..).map(Cursor).zip(state.events);
            numbered.filter(|(cursor, _)| *cursor > after).take(limit as usize).collect()
        });
        read.await.map_err(self.fault("read events"))
    }
}

#[async_trait]
impl TaskStore for FileStore {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let (task, events) = (task.clone(), events.to_vec());
        let operation = format!("commit task {}", task.id);
        let committed = self.change(move |state| {
            let stored = state.tasks.iter_mut().find(|stored| stored.id == task.id);
            match (stored, expected) {
                (None, Expected::Absent) => state.tasks.push(task),
                (Some(stored), Expected::At(revision)) if stored.revision == revision => {
                    *stored = task;
                }
                _ => return Err(StoreError::Conflict { task: task.id }),
            }
            state.events.extend(events);
            Ok(())
        });
        committed.await.map_err(self.fault(&operation))?
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        let found = self.look(move |state| state.tasks.into_iter().find(|task| task.id == id));
        found.await.map_err(self.fault("read a task"))
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        let due = self.look(move |state| {
            let mut due = state.first_of_lanes(role);
            due.retain(|task| task.due().is_some_and(|due| due.reached(now)));
            // A stable order: the oldest stays first among equals.
            due.sort_by_key(|task| std::cmp::Reverse(task.priority));
            due.truncate(limit as usize);
            due
        });
        due.await.map_err(self.fault("read what is due"))
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        let next = self.look(move |state| {
            let lanes = state.first_of_lanes(role);
            lanes.iter().filter_map(Task::due).min_by_key(|due| due.wait(now))
        });
        next.await.map_err(self.fault("read what is due next"))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        let query = query.clone();
        let meant = self.look(move |state| {
            let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
            state.tasks.into_iter().filter(|task| query.matches(task)).take(limit).collect()
        });
        meant.await.map_err(self.fault("list tasks"))
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        let removed = self.change(move |state| {
            let found = |task: &Task| task.id == id && task.revision == expected;
            let place = state.tasks.iter().position(found);
            state.tasks.remove(place.ok_or(StoreError::Conflict { task: id })?);
            Ok(())
        });
        removed.await.map_err(self.fault("remove a task"))?
    }
}

impl State {
    /// Of the open tasks of one issue only the first may run.
    fn first_of_lanes(self, role: Role) -> Vec<Task> {
        let mut lanes = HashSet::new();
        let open = |task: &Task| task.request.role() == role && !task.is_settled();
        self.tasks.into_iter().filter(open).filter(|task| lanes.insert(task.lane())).collect()
    }
}

#[async_trait]
impl SessionStore for FileStore {
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError> {
        let mut session = session.clone();
        let operation = format!("write the session {}", session.kind);
        let put = self.change(move |state| {
            let conflict = SessionError::Conflict { kind: session.kind.clone() };
            let same_kind = |other: &Session| other.id != session.id && other.kind == session.kind;
            if state.sessions.iter().any(same_kind) {
                return Err(conflict);
            }
            let stored = state.sessions.iter_mut().find(|stored| stored.id == session.id);
            match (stored, expected) {
                (None, Expected::Absent) => {
                    session.revision = Revision(1);
                    state.sessions.push(session);
                    Ok(Revision(1))
                }
                (Some(stored), Expected::At(revision)) if stored.revision == revision => {
                    session.revision = revision.next();
                    *stored = session;
                    Ok(revision.next())
                }
                _ => Err(conflict),
            }
        });
        put.await.map_err(self.session_fault(&operation))?
    }

    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError> {
        let found = self.look(move |state| state.sessions.into_iter().find(|found| found.id == id));
        found.await.map_err(self.session_fault("read a session"))
    }

    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError> {
        let kind = query.kind.clone();
        let found = self.look(move |state| {
            let mut found = state.sessions;
            found.retain(|session| kind.as_ref().is_none_or(|kind| session.kind == *kind));
            found.sort_by(|a, b| a.kind.cmp(&b.kind));
            found
        });
        found.await.map_err(self.session_fault("find sessions"))
    }

    async fn remove(&self, id: SessionId) -> Result<(), SessionError> {
        let removed = self.change(move |state| {
            state.sessions.retain(|session| session.id != id);
            Ok(())
        });
        removed.await.map_err(self.session_fault("remove a session"))?
    }
}

#[async_trait]
impl MemoStore for FileStore {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        let found = self.look(move |mut state| state.memos.remove(&name));
        found.await.map_err(self.fault("read a memo"))
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        let (name, text) = (name.to_owned(), text.map(str::to_owned));
        let set = self.change(move |state| {
            match text {
                Some(text) => state.memos.insert(name, text),
                None => state.memos.remove(&name),
            };
            Ok(())
        });
        set.await.map_err(self.fault("write a memo"))?
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let prefix = prefix.to_owned();
        let found = self.look(move |state| {
            state.memos.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect()
        });
        found.await.map_err(self.fault("read memos"))
    }
}
