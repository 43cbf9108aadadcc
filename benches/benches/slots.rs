//! Slots beside the least that the kernel asks for them: a raw pair of `flock` calls on an open file,
//! and a blocking `flock` that another thread gives up.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kugetsu_core::{Slot, SlotKey, SlotPool};
use kugetsu_queue::{FileSlots, SlotLimits};
use rustix::fs::{FlockOperation, flock};
use tokio::runtime::{Builder, Runtime};

criterion_main!(benches);
criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3));
    targets = taking, handing_over
}

/// Long enough for a waiter to be deep asleep.
const NAP: Duration = Duration::from_micros(500);

fn taking(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    for (name, others) in [("taking, free", 0), ("taking, 2 of 3 held", 2)] {
        let mut group = criterion.benchmark_group(name);
        let raw = File::create(home.path().join("raw")).unwrap();
        group.bench_function("raw flock pair", |bench| {
            bench.iter(|| {
                flock(&raw, FlockOperation::NonBlockingLockExclusive).unwrap();
                flock(&raw, FlockOperation::Unlock).unwrap();
            });
        });
        let (pool, other) = (open(home.path(), 3), open(home.path(), 3));
        let _held: Vec<Slot> = (0..others).map(|_| runtime.block_on(take(&other))).collect();
        let key = SlotKey::Dev;
        group.bench_function("try_acquire and drop", |bench| {
            bench.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        pool.try_acquire(&key, "a bench").await.unwrap().unwrap();
                    }
                    start.elapsed()
                })
            });
        });
        group.bench_function("acquire and drop", |bench| {
            bench.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        pool.acquire(&key, "a bench").await.unwrap();
                    }
                    start.elapsed()
                })
            });
        });
    }
}

/// From the release to the moment at which the one who waits has it.
fn handing_over(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handing over");
    group.sample_size(20);
    let home = tempfile::tempdir().unwrap();

    let path = home.path().join("raw");
    let here = File::create(&path).unwrap();
    let there = File::open(&path).unwrap();
    let waiter = Waiter::start(move |got| {
        flock(&there, FlockOperation::LockExclusive).unwrap();
        got();
        flock(&there, FlockOperation::Unlock).unwrap();
    });
    group.bench_function("blocking flock", |bench| {
        bench.iter_custom(|rounds| {
            waiter.measure(
                rounds,
                || flock(&here, FlockOperation::LockExclusive).unwrap(),
                |()| flock(&here, FlockOperation::Unlock).unwrap(),
            )
        });
    });

    let runtime = runtime();
    for (name, limit) in [("acquire, the one slot", 1), ("acquire, any of 3", 3)] {
        let home = tempfile::tempdir().unwrap();
        let (here, there) = (open(home.path(), limit), open(home.path(), limit));
        let _others: Vec<Slot> = (1..limit).map(|_| runtime.block_on(take(&here))).collect();
        let waiter = Waiter::start(move |got| {
            // Its own runtime, since it is to be another process.
            thread_local!(static RUNTIME: Runtime = self::runtime());
            let slot = RUNTIME.with(|runtime| runtime.block_on(take(&there)));
            got();
            drop(slot);
        });
        group.bench_function(name, |bench| {
            bench.iter_custom(|rounds| {
                waiter.measure(rounds, || runtime.block_on(take(&here)), drop)
            });
        });
    }
}

/// A thread that waits for what another one holds, and says when it has got it.
struct Waiter {
    go: Sender<()>,
    got: Receiver<Instant>,
}

impl Waiter {
    fn start(wait: impl Fn(&dyn Fn()) + Send + 'static) -> Self {
        let (go, told) = channel();
        let (tell, got) = channel();
        thread::spawn(move || {
            while told.recv().is_ok() {
                wait(&|| tell.send(Instant::now()).unwrap());
            }
        });
        Self { go, got }
    }

    fn measure<T>(&self, rounds: u64, take: impl Fn() -> T, release: impl Fn(T)) -> Duration {
        let mut sum = Duration::ZERO;
        for _ in 0..rounds {
            let held = take();
            self.go.send(()).unwrap();
            thread::sleep(NAP);
            let released = Instant::now();
            release(held);
            sum += self.got.recv().unwrap() - released;
        }
        sum
    }
}

fn open(home: &Path, limit: u32) -> FileSlots {
    FileSlots::open(home.join("slots"), SlotLimits::new(limit)).unwrap()
}

async fn take(pool: &FileSlots) -> Slot {
    pool.acquire(&SlotKey::Dev, "a bench").await.unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
