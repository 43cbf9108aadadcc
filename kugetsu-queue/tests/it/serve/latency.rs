//! How soon a server in another process takes what it may take. The bounds are far above what is
//! measured, since the machine may be busy; what is measured is printed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use kugetsu_core::{Request, SlotKey, SlotPool};
use kugetsu_queue::{Engine, FileSlots, SlotLimits};
use tempfile::TempDir;

use super::{issue, roles};
use crate::process::Other;

/// What the middle one of all may take.
const BOUND: Duration = Duration::from_millis(100);

struct Place {
    engine: Engine,
    server: Other,
    home: TempDir,
}

impl Place {
    async fn new() -> Self {
        let home = TempDir::with_prefix("kugetsu-latency-").unwrap();
        let engine = roles::engine(&home.path().canonicalize().unwrap(), "asker").await;
        let mut server = Other::start("server", &home.path().canonicalize().unwrap());
        assert_eq!(server.hear().as_deref(), Some("serves"));
        Self { engine, server, home }
    }

    async fn enqueue(&self, number: u64) {
        let task = self.engine.queue().task(Request::dev(issue(number), "MODEL: say done"));
        self.engine.queue().enqueue(&task).await.unwrap();
    }

    /// How long after `since` the next task was claimed. Returns when it has ended, too.
    fn claimed_after(&mut self, since: u128) -> Duration {
        let said = self.server.hear().unwrap();
        let at: u128 = said.strip_prefix("claimed ").unwrap().parse().unwrap();
        assert_eq!(self.server.hear().as_deref(), Some("settled"));
        Duration::from_millis(u64::try_from(at.saturating_sub(since)).unwrap())
    }

    fn slots(&self) -> FileSlots {
        FileSlots::open(self.home.path().join("slots"), SlotLimits::new(1)).unwrap()
    }

    fn end(mut self) {
        self.server.tell("end");
        self.server.end();
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()
}

#[track_caller]
fn assert_soon(what: &str, mut waits: Vec<Duration>) {
    waits.sort();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}", at(50), at(90), at(99), at(100));
    assert!(at(50) < BOUND, "{what}: {waits:?}");
    assert!(at(90) < BOUND * 10, "{what}: {waits:?}");
}

#[tokio::test]
async fn new_work_of_another_process_is_begun_at_once() {
    let mut place = Place::new().await;
    let mut waits = Vec::new();
    for number in 0..200 {
        let asked = now();
        place.enqueue(1 + number % 5).await;
        waits.push(place.claimed_after(asked));
    }
    assert_soon("new work", waits);
    place.end();
}

#[tokio::test]
async fn a_freed_slot_is_taken_at_once() {
    let mut place = Place::new().await;
    let slots = place.slots();
    for (what, key) in [("agent's slot", SlotKey::Dev), ("issue's slot", SlotKey::Issue(issue(1)))]
    {
        let mut waits = Vec::new();
        for _ in 0..30 {
            let held = slots.acquire(&key, "somebody").await.unwrap();
            place.enqueue(1).await;
            await_waiting(place.home.path(), &slots, &key).await;
            let freed = now();
            drop(held);
            waits.push(place.claimed_after(freed));
        }
        assert_soon(what, waits);
    }
    place.end();
}

/// Returns once somebody else waits for the slot: then the turnstile is taken.
async fn await_waiting(home: &Path, slots: &FileSlots, key: &SlotKey) {
    let turnstile = match key {
        SlotKey::Issue(issue) => format!("slots/issue/{}.turnstile.lock", issue.stem()),
        other => format!("slots/{other}/turnstile.lock"),
    };
    let turnstile = home.join(turnstile);
    while !std::fs::File::open(&turnstile).is_ok_and(|file| file.try_lock().is_err()) {
        // Our own look must not be taken for a release, nor bring the machine to its knees.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(slots.holders(key).await.unwrap().len(), 1);
}
