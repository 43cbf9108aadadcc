//! Stores with much in them, and the raw database that they are compared with.
#![allow(missing_docs, clippy::missing_panics_doc, clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use kugetsu_core::{
    AgentEvent, AgentId, Clock as _, Cursor, Event, Expected, Happening, Moment, Request, Session,
    SessionId, SessionKind, SessionState, Task, TaskId, TaskQueue, TaskStore,
};
use kugetsu_queue::{Contents, JsonStore, SqliteStore, SystemChance, SystemClock};
use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};

/// Every commit waits for the disk, so few samples have to do.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
}

pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub fn now() -> Moment {
    clock().moment()
}

fn clock() -> SystemClock {
    SystemClock::new().unwrap()
}

pub fn queue(store: &Arc<dyn TaskStore>) -> TaskQueue {
    TaskQueue::new(Arc::clone(store), Arc::new(clock()), Arc::new(SystemChance))
}

/// A task of an issue of its own.
pub fn task() -> Task {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    task_of(u64::from(std::process::id()) * 1_000_000_000 + NEXT.fetch_add(1, Ordering::Relaxed))
}

fn task_of(issue: u64) -> Task {
    let issue = format!("github.com/acme/widgets#{issue}").parse().unwrap();
    let request = Request::dev(issue, "The list jumps when it is sorted. Find out why and fix it.");
    let now = now();
    Task::new(TaskId::new(now.at, &SystemChance), request, now)
}

pub async fn enqueue(store: &dyn TaskStore, task: &Task) {
    store.commit(task, Expected::Absent, &[task.enqueued(now())]).await.unwrap();
}

/// What a tool call of an agent tells.
pub fn event() -> Event {
    let call = AgentEvent::ToolStarted {
        call: "call_0198c6f2".into(),
        tool: "bash".into(),
        title: "cargo test --workspace".into(),
    };
    let issue = "github.com/acme/widgets#42".parse().unwrap();
    Event::new(now().at, TaskId::of_key("a bench"), Some(issue), Happening::Agent(call))
}

/// The session of this issue.
pub fn session(issue: u64) -> Session {
    let kind = SessionKind::Dev(format!("github.com/acme/widgets#{issue}").parse().unwrap());
    let id = SessionId::new(now().at, &SystemChance);
    let mut session = Session::new(id, kind, AgentId::new("opencode").unwrap(), now().at);
    session.how = "forked from the base session".into();
    session.state = SessionState::Active;
    session
}

/// A store in which this many tasks wait, each of an issue of its own.
pub async fn sqlite_with_tasks(path: &Path, count: u64) -> SqliteStore {
    let store = SqliteStore::open(path).await.unwrap();
    let first = task_of(1);
    enqueue(&store, &first).await;
    // A million serialised and parsed would take minutes; the first one's row is told many times.
    let mut raw = Connection::open(path).unwrap();
    let fill = raw.transaction().unwrap();
    fill.execute(
        "WITH RECURSIVE number(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM number WHERE n < ?1),
              first AS (SELECT * FROM task WHERE seq = 1),
              new AS (SELECT printf('%08x', n) || substr(first.id, 9) AS new_id,
                             'github.com/acme/widgets#' || n AS new_issue, first.* FROM number, first)
         INSERT INTO task (id, revision, lane, issue, status, priority, open, head,
                           due_boot, due_tick, due_wall, document)
         SELECT new_id, revision, new_issue, new_issue, status, priority, open, head,
                due_boot, due_tick, due_wall,
                replace(replace(document, id, new_id), '\"' || issue || '\"', '\"' || new_issue || '\"')
         FROM new WHERE ?1 > 1",
        [i64::try_from(count).unwrap()],
    )
    .unwrap();
    fill.commit().unwrap();
    raw.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    store
}

/// The same as files.
pub async fn json_with_tasks(directory: &Path, count: u64) -> JsonStore {
    let mut contents = Contents::default();
    contents.tasks = (1..=count).map(|n| serde_json::to_string(&task_of(n)).unwrap()).collect();
    JsonStore::make(directory, &contents).unwrap();
    JsonStore::open(directory).await.unwrap()
}

/// A database with one table of two columns, as durable as the store.
pub struct Raw {
    connection: Connection,
    changes: Cell<u64>,
}

impl Raw {
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        connection.pragma_update(None, "synchronous", "full").unwrap();
        let table = "CREATE TABLE IF NOT EXISTS raw (id INTEGER PRIMARY KEY, document TEXT)";
        connection.execute(table, []).unwrap();
        Self { connection, changes: Cell::new(0) }
    }

    /// One row, committed.
    pub fn insert(&self, document: &str) {
        let insert = "INSERT INTO raw (document) VALUES (?1)";
        self.connection.prepare_cached(insert).unwrap().execute([document]).unwrap();
    }

    /// The newest row, changed and committed. What it was already, `SQLite` would not write.
    pub fn update(&self, document: &str) {
        let update = "UPDATE raw SET document = ?1 WHERE id = (SELECT max(id) FROM raw)";
        self.changes.set(self.changes.get() + 1);
        let document = format!("{document}{}", self.changes.get());
        let changed = self.connection.prepare_cached(update).unwrap().execute([document]).unwrap();
        assert_eq!(changed, 1, "there is no row yet");
    }

    /// These rows, committed at once.
    pub fn insert_all(&mut self, document: &str, count: usize) {
        let all = self.connection.transaction().unwrap();
        {
            let insert = "INSERT INTO raw (document) VALUES (?1)";
            let mut insert = all.prepare_cached(insert).unwrap();
            for _ in 0..count {
                insert.execute([document]).unwrap();
            }
        }
        all.commit().unwrap();
    }

    /// How many bytes all rows have together, read one after the other.
    pub fn read(&self) -> usize {
        let mut query =
            self.connection.prepare_cached("SELECT id, document FROM raw ORDER BY id").unwrap();
        let mut rows = query.query([]).unwrap();
        let mut bytes = 0;
        while let Some(row) = rows.next().unwrap() {
            bytes += row.get::<_, String>(1).unwrap().len();
        }
        bytes
    }
}

/// How many events there are after this one, read as followers read them.
pub async fn replayed(store: &dyn TaskStore) -> usize {
    let (mut cursor, mut count) = (Cursor(0), 0);
    loop {
        let events = store.read(cursor, 256).await.unwrap();
        let Some((last, _)) = events.last() else { return count };
        cursor = *last;
        count += events.len();
    }
}
