//! What another process does with the queue.

use std::path::Path;

use kugetsu_core::{TaskQuery, TaskStore as _};
use kugetsu_queue::Shutdown;
use tokio::task::JoinSet;

use super::site::Site;
use crate::process::{say, told};

/// Serves the queue with some engines until its input is closed, and says so when all is done.
pub(crate) async fn chaos(home: &Path) {
    let orders = told().unwrap();
    let (engines, seed) = orders.split_once(' ').unwrap();
    let (engines, seed): (u64, u64) = (engines.parse().unwrap(), seed.parse().unwrap());
    let site = Site::at(home);
    let shutdown = Shutdown::new();
    let mut serving = JoinSet::new();
    let mut first = None;
    for number in 0..engines {
        let name = format!("{}-{number}", std::process::id());
        let engine = site.engine(&name, seed.wrapping_add(number)).await;
        if number == 0 {
            engine.recover().await.unwrap();
        }
        first.get_or_insert_with(|| engine.clone());
        let shutdown = shutdown.clone();
        serving.spawn(async move { engine.serve(shutdown, |error| eprintln!("{error}")).await });
    }
    let mut changes = first.unwrap().events().follow(kugetsu_core::Cursor(u64::MAX >> 1));
    let store = site.store().await;
    while !store.list(&TaskQuery::open()).await.unwrap().is_empty() {
        // Nothing comes after that cursor, so this is the look from time to time.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), changes.next()).await;
    }
    say("done");
    tokio::task::spawn_blocking(|| while told().is_some() {}).await.unwrap();
    shutdown.drain.cancel();
    while serving.join_next().await.is_some() {}
}
