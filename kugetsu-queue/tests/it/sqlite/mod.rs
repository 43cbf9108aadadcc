//! The store in one `SQLite` file.

mod care;
mod crashes;
mod format;
mod inbox;
mod promises;
pub(crate) mod roles;

use std::path::Path;

use kugetsu_core::{
    Chance, Change, Expected, Moment, Request, Task, TaskId, TaskStore, Tick, Timestamp, WorkerId,
};
use kugetsu_queue::SqliteStore;

async fn open(home: &Path) -> SqliteStore {
    SqliteStore::open(home.join("state/kugetsu.db")).await.unwrap()
}

#[derive(Debug)]
struct Numbered(u64);

impl Chance for Numbered {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[2..10].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }
}

fn now() -> Moment {
    let boot = uuid::Uuid::from_u128(1);
    Moment { at: Timestamp::from_millis(1_767_225_600_000), tick: Tick { boot, millis: 1_000_000 } }
}

fn task(number: u64) -> Task {
    let issue = format!("github.com/acme/widgets#{}", number + 1).parse().unwrap();
    Task::new(task_id(number), Request::dev(issue, "Fix it."), now())
}

fn task_id(number: u64) -> TaskId {
    TaskId::new(now().at, &Numbered(number))
}

async fn enqueue(store: &SqliteStore, task: &Task) {
    store.commit(task, Expected::Absent, &[task.enqueued(now())]).await.unwrap();
}

/// The task as `worker` has claimed it, with what that tells.
fn claimed(task: &Task, worker: &str) -> (Task, kugetsu_core::Event) {
    let worker = WorkerId::new(worker).unwrap();
    let ttl = std::time::Duration::from_mins(1);
    let (task, told) = task.apply(Change::Claim { worker, ttl }, now()).unwrap();
    (task, told.unwrap())
}
