//! What another process does that serves a queue.

use std::path::Path;
use std::sync::Arc;

use kugetsu_core::{Cursor, Happening, WorkerId};
use kugetsu_queue::{
    Backends, Engine, FileSlots, Shutdown, SlotLimits, SqliteStore, SystemChance, SystemClock,
};
use kugetsu_testkit::fake::FakeAgent;

use crate::process::{say, told};

/// The files of a queue, with one place for an agent.
pub(super) async fn engine(home: &Path, name: &str) -> Engine {
    let store = Arc::new(SqliteStore::open(home.join("kugetsu.db")).await.unwrap());
    let slots = FileSlots::open(home.join("slots"), SlotLimits::new(1)).unwrap();
    let worktrees = super::worktrees(home, name);
    let backends = Backends::new(
        (store.clone(), store),
        Arc::new(slots),
        worktrees,
        Arc::new(FakeAgent::new()),
        (Arc::new(SystemClock::new().unwrap()), Arc::new(SystemChance)),
    );
    Engine::new(backends, WorkerId::new(name).unwrap(), home.join(name))
        .with_bell(home.join("bell"))
}

/// Serves with a fake agent, and says when each task was claimed and when it was settled, until it
/// is told something.
pub(crate) async fn server(home: &Path) {
    let engine = engine(home, "server").await;
    engine.init().await.unwrap();
    let shutdown = Shutdown::new();
    let drain = shutdown.drain.clone();
    let mut events = engine.events().follow(Cursor(0));
    let telling = tokio::spawn(async move {
        loop {
            for (_, event) in events.next().await.unwrap() {
                match event.what {
                    Happening::Claimed { .. } => say(&format!("claimed {}", event.at.as_millis())),
                    Happening::Settled { .. } => say("settled"),
                    _ => {}
                }
            }
        }
    });
    let ended = tokio::task::spawn_blocking(told);
    let serving = engine.serve(shutdown, |error| panic!("{error}"));
    let end = async {
        ended.await.unwrap();
        drain.cancel();
    };
    say("serves");
    tokio::join!(serving, end);
    telling.abort();
}
