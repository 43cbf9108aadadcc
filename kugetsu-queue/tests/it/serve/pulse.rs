//! The pulse of a server: it stops with what hangs, and with nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    Cursor, Due, Event, EventLog, Expected, Moment, Revision, Role, StoreError, Task, TaskId,
    TaskQuery, TaskStore, WorkerId,
};
use kugetsu_queue::Engine;

use super::{Site, enqueue, passing, serve};

/// A store that hangs for good when it is told to.
#[derive(Debug)]
struct Stuck(Arc<dyn TaskStore>, AtomicBool);

#[async_trait]
impl EventLog for Stuck {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        self.0.append(events).await
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.0.read(after, limit).await
    }
}

#[async_trait]
impl TaskStore for Stuck {
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError> {
        self.0.commit(task, expected, events).await
    }

    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.0.load(id).await
    }

    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError> {
        if self.1.load(Ordering::SeqCst) && role == Role::Dev {
            std::future::pending::<()>().await;
        }
        self.0.due(now, role, limit).await
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

#[tokio::test]
async fn the_pulse_goes_on_while_there_is_nothing_or_much_to_do_and_stops_when_it_hangs() {
    let site = Site::new().await;
    let stuck = Arc::new(Stuck(Arc::new(site.store.clone()), AtomicBool::new(false)));
    let mut backends = site.backends.clone();
    backends.tasks = stuck.clone();
    let home = site.root.path().canonicalize().unwrap().join("home");
    let (beats, heard) = tokio::sync::watch::channel(0u32);
    let engine = Engine::new(backends, WorkerId::new("another").unwrap(), home)
        .with_pulse(Duration::from_secs(10), move || beats.send_modify(|beats| *beats += 1));
    let more = |count: u32| {
        let (mut heard, clock) = (heard.clone(), site.clock.clone());
        async move {
            let goal = *heard.borrow() + count;
            passing(&clock, heard.wait_for(|beats| *beats >= goal)).await.unwrap();
        }
    };
    let (shutdown, serving) = serve(&engine);
    more(5).await;
    // Full: it waits for a place.
    for number in 1..=3 {
        enqueue(&engine, number, "MODEL: gate go\nMODEL: say done").await;
    }
    site.agent.until_at_work(2).await;
    more(5).await;
    // It drains.
    shutdown.drain.cancel();
    more(5).await;
    site.agent.open("go");
    passing(&site.clock, serving).await.unwrap();
    let (_shutdown, serving) = serve(&engine);
    site.agent.until_started(3).await;
    stuck.1.store(true, Ordering::SeqCst);
    enqueue(&engine, 9, "MODEL: say done").await;
    // Whatever beat was on its way has come when the other half has slept many times.
    for _ in 0..20 {
        site.clock.until_asleep(1).await;
        site.clock.advance(Duration::from_secs(10));
    }
    let last = *heard.borrow();
    for _ in 0..50 {
        site.clock.until_asleep(1).await;
        site.clock.advance(Duration::from_secs(10));
    }
    assert_eq!(*heard.borrow(), last);
    serving.abort();
}
