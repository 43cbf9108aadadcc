//! Slots over kernel locks.

mod limits;
mod processes;
mod promises;
pub(crate) mod roles;
mod waiting;

use std::path::Path;
use std::time::Duration;

use kugetsu_core::{IssueRef, Slot, SlotHolder, SlotKey, SlotPool};
use kugetsu_queue::{FileSlots, SlotLimits};

/// Longer than anything here takes, however busy the machine is.
const LONG: Duration = Duration::from_mins(1);

fn open(home: &Path, dev: u32) -> FileSlots {
    FileSlots::open(home.join("slots"), SlotLimits::new(dev)).unwrap()
}

fn issue(number: u64) -> SlotKey {
    let issue: IssueRef = format!("github.com/acme/widgets#{number}").parse().unwrap();
    SlotKey::Issue(issue)
}

async fn try_take(pool: &FileSlots) -> Option<Slot> {
    pool.try_acquire(&SlotKey::Dev, "one who tries").await.unwrap()
}

async fn take(pool: &FileSlots) -> Slot {
    let waiting = pool.acquire(&SlotKey::Dev, "one who waits");
    tokio::time::timeout(LONG, waiting).await.unwrap().unwrap()
}

async fn holders(pool: &FileSlots) -> Vec<SlotHolder> {
    pool.holders(&SlotKey::Dev).await.unwrap()
}
