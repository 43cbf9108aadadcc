//! The auditor finds what is wrong: each test plants a bug.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::agent::Role;
use kugetsu_core::{
    Cursor, Due, Event, EventLog, Expected, Moment, Revision, Slot, SlotError, SlotGuard,
    SlotHolder, SlotKey, SlotPool, StoreError, Task, TaskId, TaskQuery, TaskStore,
};
use kugetsu_queue::{FileSlots, Shutdown, SqliteStore};
use tokio::task::JoinSet;

use super::audit::Audit;
use super::site::Site;

const LIMIT: u32 = 2;
const ENGINES: u64 = 6;

/// Carries out some tasks with some engines over one directory.
fn storm(
    tasks: impl IntoIterator<Item = (u64, String)>,
    slots: impl Fn(FileSlots, &Site) -> Arc<dyn SlotPool>,
    stores: impl Fn(Arc<SqliteStore>, u64) -> Arc<dyn TaskStore>,
) -> (Audit, Vec<TaskId>) {
    let site = Site::new(LIMIT);
    let queued = site.enqueue(tasks);
    site.blocking(async |_| {
        let (shutdown, mut serving) = (Shutdown::new(), JoinSet::new());
        for number in 0..ENGINES {
            let store = site.store().await;
            let (tasks, slots) = (stores(store.clone(), number), slots(site.slots(), &site));
            let engine = site.engine_over(store, tasks, slots, &format!("e{number}"), number);
            let shutdown = shutdown.clone();
            serving.spawn(async move { engine.serve(shutdown, |_| {}).await });
        }
        let store = site.store().await;
        while !store.list(&TaskQuery::open()).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shutdown.drain.cancel();
        while serving.join_next().await.is_some() {}
    });
    (Audit::of(&site), queued)
}

fn many() -> impl Iterator<Item = (u64, String)> {
    (0..60).map(|n| (n / 2, format!("task {n}")))
}

fn slow() -> impl Iterator<Item = (u64, String)> {
    (0..12).map(|n| (n, format!("slow {n}")))
}

#[track_caller]
fn assert_found(audit: &Audit, what: &str) {
    assert!(audit.wrong.iter().any(|wrong| wrong.contains(what)), "{:#?}", audit.wrong);
}

#[test]
fn without_a_bug_there_is_nothing_wrong() {
    let (audit, queued) = storm(many(), |slots, _| Arc::new(slots), |store, _| store);
    audit.assert_clean(&queued);
}

/// Counts the agents, and then adds one: a slot as a number in a directory.
#[derive(Debug)]
struct Counted {
    real: FileSlots,
    directory: PathBuf,
}

#[derive(Debug)]
struct Counting(PathBuf);

impl SlotGuard for Counting {
    fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[async_trait]
impl SlotPool for Counted {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        if *key != SlotKey::Dev {
            return self.real.acquire(key, holder).await;
        }
        loop {
            if fs::read_dir(&self.directory).unwrap().count() < LIMIT as usize {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let (file, path) =
                    tempfile::NamedTempFile::new_in(&self.directory).unwrap().keep().unwrap();
                drop(file);
                return Ok(Slot::new(key.clone(), 0, Arc::new(Counting(path))));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        self.real.try_acquire(key, holder).await
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        self.real.holders(key).await
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        self.real.limit(key)
    }
}

#[test]
fn slots_that_are_counted_and_then_made_are_found() {
    let counted = |real, site: &Site| -> Arc<dyn SlotPool> {
        let directory = site.home().join("counted");
        fs::create_dir_all(&directory).unwrap();
        Arc::new(Counted { real, directory })
    };
    let (audit, _) = storm(slow(), counted, |store, _| store);
    assert_found(&audit, "agents are alive");
}

/// A pool that gives everybody every issue.
#[derive(Debug)]
struct Open(FileSlots);

#[derive(Debug)]
struct Nothing;

impl SlotGuard for Nothing {
    fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
}

#[async_trait]
impl SlotPool for Open {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        match key {
            SlotKey::Issue(_) => Ok(Slot::new(key.clone(), 0, Arc::new(Nothing))),
            other => self.0.acquire(other, holder).await,
        }
    }

    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        match key {
            SlotKey::Issue(_) => self.acquire(key, holder).await.map(Some),
            other => self.0.try_acquire(other, holder).await,
        }
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        self.0.holders(key).await
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        self.0.limit(key)
    }
}

/// A store that writes whatever it is given, over whatever is there. What it tells is some time old.
#[derive(Debug)]
struct Unfenced(Arc<SqliteStore>, Duration);

fn unfenced(store: Arc<SqliteStore>, number: u64) -> Arc<dyn TaskStore> {
    Arc::new(Unfenced(store, Duration::from_millis(60 * number)))
}

#[async_trait]
impl EventLog for Unfenced {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        self.0.append(events).await
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.0.read(after, limit).await
    }
}

#[async_trait]
impl TaskStore for Unfenced {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let mut task = task.clone();
        let mut expected = expected;
        loop {
            match self.0.commit(&task, expected, events).await {
                Err(StoreError::Conflict { .. }) => {
                    let there = self.0.load(task.id).await?.map_or(Revision(0), |t| t.revision);
                    (task.revision, expected) = (there.next(), Expected::At(there));
                }
                other => return other,
            }
        }
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.0.load(id).await
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        let due = self.0.due(now, role, limit).await;
        // Time enough for others to carry out what this one has seen.
        tokio::time::sleep(self.1).await;
        due
    }

    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError> {
        self.0.next_due(now, role).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError> {
        self.0.list(query).await
    }

    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError> {
        self.0.remove(id, expected).await
    }
}

#[test]
fn a_store_without_a_fence_is_found() {
    let (audit, _) = storm(many(), |slots, _| Arc::new(slots), unfenced);
    assert_found(&audit, "attempt");
}

#[test]
fn issues_without_a_lock_are_found() {
    let open = |slots, _: &Site| -> Arc<dyn SlotPool> { Arc::new(Open(slots)) };
    // The fence alone would hold the second one off; without it, two work on one issue.
    let (audit, _) = storm(slow(), open, unfenced);
    assert_found(&audit, "another agent works on its issue");
}
