//! The event log beside a table of the same rows in a raw database on the same file system.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kugetsu_benches::stores::{Raw, criterion, event, replayed, runtime};
use kugetsu_core::{Event, TaskStore};
use kugetsu_queue::{Contents, JsonStore, SqliteStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How many events are replayed.
const LOG: usize = 100_000;

criterion_group! {
    name = benches;
    config = criterion();
    targets = appending, replaying
}
criterion_main!(benches);

/// A place on the file system on which the program was built: in memory nothing waits for a disk.
fn place() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn text() -> String {
    serde_json::to_string(&event()).unwrap()
}

fn appending(criterion: &mut Criterion) {
    let (home, runtime, text) = (place(), runtime(), text());
    let mut raw = Raw::open(&home.path().join("raw.db"));
    let stores = stores(&runtime, &home);
    for count in [1, 10, 100] {
        let mut group = criterion.benchmark_group(format!("append: {count} events at once"));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function("yardstick: raw SQLite, one commit", |bench| {
            bench.iter(|| raw.insert_all(&text, count));
        });
        let events: Vec<Event> = (0..count).map(|_| event()).collect();
        for (name, store) in &stores {
            group.bench_function(*name, |bench| {
                bench.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let began = Instant::now();
                        for _ in 0..rounds {
                            store.append(&events).await.unwrap();
                        }
                        began.elapsed()
                    })
                });
            });
        }
        group.finish();
    }
}

fn replaying(criterion: &mut Criterion) {
    let (home, runtime, text) = (place(), runtime(), text());
    let mut raw = Raw::open(&home.path().join("raw.db"));
    raw.insert_all(&text, LOG);
    let mut contents = Contents::default();
    contents.events = vec![text; LOG];
    SqliteStore::make(&home.path().join("kugetsu.db"), &contents).unwrap();
    JsonStore::make(&home.path().join("json"), &contents).unwrap();

    let mut group = criterion.benchmark_group(format!("replay: {LOG} events"));
    group.throughput(Throughput::Elements(LOG as u64));
    group.bench_function("yardstick: raw SQLite, rows read as text", |bench| {
        bench.iter(|| raw.read());
    });
    for (name, store) in stores(&runtime, &home) {
        group.bench_function(name, |bench| {
            bench.iter(|| assert_eq!(runtime.block_on(replayed(&*store)), LOG));
        });
    }
    group.bench_function("JSON, opened", |bench| {
        bench.iter(|| runtime.block_on(JsonStore::open(home.path().join("json"))).unwrap());
    });
    group.finish();
}

fn stores(runtime: &Runtime, home: &TempDir) -> Vec<(&'static str, Arc<dyn TaskStore>)> {
    let sqlite = runtime.block_on(SqliteStore::open(home.path().join("kugetsu.db"))).unwrap();
    let json = runtime.block_on(JsonStore::open(home.path().join("json"))).unwrap();
    vec![("SQLite", Arc::new(sqlite)), ("JSON", Arc::new(json))]
}
