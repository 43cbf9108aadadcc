//! Holds: what is taken from the queue while it rests, and when it goes on.

use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{SlotKey, SlotPool, Status};
use kugetsu_queue::{Holds, WatchedStore};

use super::{Site, drained, enqueue, serve, settled};

#[tokio::test]
async fn a_paused_queue_rests_while_what_runs_goes_on_and_is_resumed_at_once() {
    let site = Site::new().await;
    let running = site.enqueue(1, "MODEL: gate go\nMODEL: say done").await;
    let serving = serve(&site.engine);
    site.agent.until_at_work(1).await;
    assert!(site.engine.holds().pause("lunch").await.unwrap());
    assert!(!site.engine.holds().pause("again").await.unwrap());
    let waiting = site.enqueue(2, "MODEL: say done").await;
    site.agent.open("go");
    assert_eq!(settled(&site.engine, running.id).await.status(), Status::Completed);
    // Looking again and again changes nothing.
    for _ in 0..20 {
        site.clock.until_asleep(2).await;
        site.clock.advance(Duration::from_mins(6));
    }
    site.clock.until_asleep(2).await;
    assert_eq!(site.engine.queue().load(waiting.id).await.unwrap().status(), Status::Pending);
    assert_eq!(site.agent.runs().len(), 1);
    assert!(site.slots.holders(&SlotKey::Dev).await.unwrap().is_empty());
    assert!(site.engine.holds().resume().await.unwrap());
    assert_eq!(settled(&site.engine, waiting.id).await.status(), Status::Completed);
    drained(serving).await;
}

#[tokio::test]
async fn a_pause_that_begins_while_a_slot_is_waited_for_is_heeded() {
    let site = Site::new().await;
    let one = site.slots.try_acquire(&SlotKey::Dev, "another").await.unwrap();
    let two = site.slots.try_acquire(&SlotKey::Dev, "another").await.unwrap();
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    // The PM's half sleeps; the other one waits for a slot.
    site.clock.until_asleep(1).await;
    site.engine.holds().pause("").await.unwrap();
    drop((one, two));
    site.clock.until_asleep(2).await;
    assert_eq!(site.engine.queue().load(task.id).await.unwrap().status(), Status::Pending);
    site.engine.holds().resume().await.unwrap();
    assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}

#[tokio::test]
async fn a_providers_hold_ends_by_itself_and_the_longest_counts() {
    let site = Site::new().await;
    let holds = site.engine.holds();
    holds.hold_provider("acme", "429", Duration::from_mins(2)).await.unwrap();
    holds.hold_provider("other", "429", Duration::from_mins(1)).await.unwrap();
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    site.clock.until_asleep(2).await;
    site.clock.advance(Duration::from_secs(90));
    assert_eq!(site.agent.runs().len(), 0);
    assert_eq!(holds.active().await.unwrap().len(), 1);
    site.clock.until_asleep(2).await;
    site.clock.advance(Duration::from_secs(30));
    assert_eq!(settled(&site.engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}

/// Nothing is shared but the store and the bell: as a command in another process resumes.
#[tokio::test]
async fn a_queue_is_resumed_from_another_process() {
    let site = Site::new().await;
    let bell = site.root.path().join("bell");
    let memos = Arc::new(site.store.clone());
    let engine = site.engine_with(memos.clone()).with_bell(&bell);
    engine.holds().pause("").await.unwrap();
    let task = enqueue(&engine, 1, "MODEL: say done").await;
    let serving = serve(&engine);
    site.clock.until_asleep(2).await;
    let theirs = WatchedStore::new(Arc::new(site.store.clone())).with_bell(&bell);
    assert!(Holds::new(memos, site.clock.clone(), theirs).resume().await.unwrap());
    assert_eq!(settled(&engine, task.id).await.status(), Status::Completed);
    drained(serving).await;
}
