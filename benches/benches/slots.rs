//! Slots beside the least that the kernel asks for them: a raw pair of `flock` calls on an open file,
//! a blocking `flock` that another one gives up, and the wake of a thread.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use kugetsu_benches::{Crowd, Said, median};
use kugetsu_core::{Slot, SlotKey, SlotPool};
use kugetsu_queue::{FileSlots, SlotLimits};
use rustix::fs::{FlockOperation, flock};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

criterion_main!(benches);
criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = taking, waiting_tasks, waiting_processes, handing_over, handing_over_to_processes, killing
}

/// Long enough for a waiter to be deep asleep.
const NAP: Duration = Duration::from_micros(500);

/// How many wait.
const WAITERS: [u32; 4] = [1, 2, 8, 64];

fn taking(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let runtime = runtime();
    for (name, others) in [("slots: free", 0), ("slots: 2 of 3 held", 2)] {
        let mut group = criterion.benchmark_group(name);
        let raw = File::create(home.path().join("raw")).unwrap();
        group.bench_function("yardstick: raw flock pair", |bench| {
            bench.iter(|| {
                flock(&raw, FlockOperation::NonBlockingLockExclusive).unwrap();
                flock(&raw, FlockOperation::Unlock).unwrap();
            });
        });
        let (pool, other) = (open(home.path(), 3), open(home.path(), 3));
        let _held: Vec<Slot> = (0..others).map(|_| runtime.block_on(take(&other))).collect();
        let key = SlotKey::Dev;
        group.bench_function("try_take and drop", |bench| {
            bench.iter(|| pool.try_take(&key, "a bench").unwrap().unwrap());
        });
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

/// So many tasks of one process that take the one slot and give it back, again and again.
fn waiting_tasks(criterion: &mut Criterion) {
    for tasks in WAITERS {
        let mut group = criterion.benchmark_group(format!("slots: {tasks} tasks that wait"));
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("raw");
        let each = move |rounds: u64| rounds.div_ceil(u64::from(tasks));
        let of_all = |whole: Duration, rounds: u64| {
            whole.mul_f64(f64::from(u32::try_from(rounds).unwrap()))
                / u32::try_from(each(rounds) * u64::from(tasks)).unwrap()
        };
        group.bench_function("yardstick: blocking flock, a thread each", |bench| {
            bench.iter_custom(|rounds| {
                let start = Instant::now();
                thread::scope(|scope| {
                    for _ in 0..tasks {
                        scope.spawn(|| {
                            let file = File::create(&path).unwrap();
                            for _ in 0..each(rounds) {
                                flock(&file, FlockOperation::LockExclusive).unwrap();
                                flock(&file, FlockOperation::Unlock).unwrap();
                            }
                        });
                    }
                });
                of_all(start.elapsed(), rounds)
            });
        });
        let runtime = runtime();
        let pool = Arc::new(open(home.path(), 1));
        group.bench_function("acquire and drop", |bench| {
            bench.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    let mut all = JoinSet::new();
                    for _ in 0..tasks {
                        let pool = Arc::clone(&pool);
                        all.spawn(async move {
                            for _ in 0..each(rounds) {
                                let slot = take(&pool).await;
                                tokio::task::yield_now().await;
                                drop(slot);
                            }
                        });
                    }
                    all.join_all().await;
                    of_all(start.elapsed(), rounds)
                })
            });
        });
    }
}

/// So many processes that take one of three slots, of which two are held, and give it back.
fn waiting_processes(criterion: &mut Criterion) {
    for processes in WAITERS {
        let mut group =
            criterion.benchmark_group(format!("slots: {processes} processes that wait"));
        let home = tempfile::tempdir().unwrap();
        let _held = hold_two(home.path());
        for (name, kind) in kinds("yardstick: blocking flock", "acquire and drop") {
            let mut crowd = Crowd::new();
            for _ in 0..processes {
                crowd.start(slot(home.path(), "passes", kind).as_mut());
            }
            let all = |crowd: &mut Crowd, expected| {
                for _ in 0..processes {
                    assert_eq!(crowd.hear().1, expected);
                }
            };
            all(&mut crowd, Said::Waits);
            group.bench_function(name, |bench| {
                bench.iter_custom(|rounds| {
                    let each = rounds.div_ceil(u64::from(processes)).max(20);
                    let start = Instant::now();
                    crowd.tell_all(&each.to_string());
                    all(&mut crowd, Said::Done);
                    let passes = u32::try_from(each * u64::from(processes)).unwrap();
                    start.elapsed().mul_f64(f64::from(u32::try_from(rounds).unwrap())) / passes
                });
            });
        }
    }
}

/// From the release to the moment at which the one who waits has it, within a process: the median.
fn handing_over(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slots: handed over to a thread");
    let (tell, told) = channel::<()>();
    let waiter = Waiter::start(move |got| {
        told.recv().unwrap();
        got();
    });
    group.bench_function("yardstick: futex wake", |bench| {
        bench.iter_custom(|rounds| waiter.measure(rounds, || (), |()| tell.send(()).unwrap()));
    });

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

/// From the release in one process to the moment at which the next one has it, any of three of which
/// two are held: the median.
fn handing_over_to_processes(criterion: &mut Criterion) {
    for waiting in WAITERS {
        let name = format!("slots: handed over to one of {waiting} processes");
        let mut group = criterion.benchmark_group(name);
        let home = tempfile::tempdir().unwrap();
        let _held = hold_two(home.path());
        futex_wake(&mut group);
        for (name, kind) in kinds("blocking flock", "acquire, any of 3") {
            let mut crowd = Crowd::new();
            // One has it while the others wait.
            for _ in 0..=waiting {
                crowd.start(slot(home.path(), "turns", kind).as_mut());
            }
            let (mut who, _) = crowd.taken();
            group.bench_function(name, |bench| {
                bench.iter_custom(|rounds| {
                    let mut all = Vec::new();
                    for _ in 0..rounds {
                        thread::sleep(NAP);
                        crowd.tell(who, "release");
                        let (mut gave, mut took) = (None, None);
                        while gave.is_none() || took.is_none() {
                            match crowd.hear() {
                                (_, Said::Gave(when)) => gave = Some(when),
                                (next, Said::Took(when)) => {
                                    took = Some(when);
                                    who = next;
                                }
                                _ => {}
                            }
                        }
                        all.push(between(gave.unwrap(), took.unwrap()));
                    }
                    median(all)
                });
            });
        }
    }
}

/// From the moment before the holder is killed to the one at which the next process has its slot: the
/// median.
fn killing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slots: holder killed");
    for (name, kind) in kinds("yardstick: blocking flock", "acquire, any of 3") {
        let home = tempfile::tempdir().unwrap();
        let _held = hold_two(home.path());
        let mut crowd = Crowd::new();
        let start = |crowd: &mut Crowd| crowd.start(slot(home.path(), "turns", kind).as_mut());
        start(&mut crowd);
        let (mut holder, _) = crowd.taken();
        group.bench_function(name, |bench| {
            bench.iter_custom(|rounds| {
                let mut all = Vec::new();
                for _ in 0..rounds {
                    start(&mut crowd);
                    while crowd.hear().1 != Said::Waits {}
                    thread::sleep(4 * NAP);
                    let killed = now();
                    crowd.kill(holder);
                    let (next, took) = crowd.taken();
                    holder = next;
                    all.push(between(killed, took));
                }
                median(all)
            });
        });
    }
}

/// The wake of one thread by another, at the time of the others of this group.
fn futex_wake(group: &mut BenchmarkGroup<'_, WallTime>) {
    let (tell, told) = channel::<()>();
    let waiter = Waiter::start(move |got| {
        if told.recv().is_ok() {
            got();
        }
    });
    group.bench_function("yardstick: futex wake", |bench| {
        bench.iter_custom(|rounds| waiter.measure(rounds, || (), |()| tell.send(()).unwrap()));
    });
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
        let mut all = Vec::new();
        for _ in 0..rounds {
            let held = take();
            self.go.send(()).unwrap();
            thread::sleep(NAP);
            let released = Instant::now();
            release(held);
            all.push(self.got.recv().unwrap() - released);
        }
        median(all)
    }
}

/// What is measured, by the names of the two.
fn kinds(flock: &'static str, pool: &'static str) -> [(&'static str, &'static str); 2] {
    [(flock, "flock"), (pool, "pool")]
}

/// The program `slot`, in this role.
fn slot(home: &Path, role: &str, kind: &str) -> Box<Command> {
    let mut command = Box::new(Command::new(env!("CARGO_BIN_EXE_slot")));
    command.args([role, kind]);
    match kind {
        "flock" => command.arg(home.join("raw")),
        _ => command.arg(home.join("slots")).arg("3"),
    };
    command
}

fn hold_two(home: &Path) -> (FileSlots, Vec<Slot>) {
    let pool = open(home, 3);
    let held = (0..2).map(|_| pool.try_take(&SlotKey::Dev, "a bench").unwrap().unwrap()).collect();
    (pool, held)
}

fn now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Whoever has a slot may say so before the one that gave it back does.
fn between(gave: i64, took: i64) -> Duration {
    Duration::from_nanos(u64::try_from(took - gave).unwrap_or_default())
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
