//! Another process for the benches of slots. What it does is in its words:
//!
//! ```text
//! slot turns  pool DIR LIMIT | flock FILE   takes a slot, keeps it until it is told a line, and again
//! slot passes pool DIR LIMIT | flock FILE   is told a number, and takes and gives back so often
//! slot stamp                                says when it began and when it ended
//! ```
//!
//! Lines that it says are `W` before it waits, `A <nanoseconds>` once it has a slot, `R <nanoseconds>`
//! for the moment before it gave one back, and `D` when it is done.
#![allow(clippy::unwrap_used)]

use std::env;
use std::fs::File;
use std::io::{Write as _, stdin, stdout};
use std::thread::sleep;
use std::time::Duration;

use kugetsu_core::{Slot, SlotKey, SlotPool as _};
use kugetsu_queue::{FileSlots, SlotLimits};
use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

/// How long a task takes, so that whoever waits for its end is asleep by then.
const TASK: Duration = Duration::from_millis(2);

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words[0].as_str() {
        "turns" => turns(&Kind::of(&words[1..])),
        "passes" => passes(&Kind::of(&words[1..])),
        _ => {
            say(&format!("A {}", now()));
            sleep(TASK);
            say(&format!("R {}", now()));
        }
    }
}

fn turns(kind: &Kind) {
    loop {
        say("W");
        let held = kind.take();
        say(&format!("A {}", now()));
        if told().is_none() {
            return;
        }
        let released = now();
        drop(held);
        say(&format!("R {released}"));
    }
}

fn passes(kind: &Kind) {
    say("W");
    while let Some(times) = told() {
        for _ in 0..times.parse().unwrap() {
            drop(kind.take());
        }
        say("D");
    }
}

/// What is taken.
enum Kind {
    Pool(Runtime, FileSlots),
    Flock(File),
}

/// One that is held.
enum Held<'a> {
    Slot { _slot: Slot },
    Lock(&'a File),
}

impl Kind {
    fn of(words: &[String]) -> Self {
        if words[0] == "flock" {
            return Self::Flock(File::create(&words[1]).unwrap());
        }
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let limits = SlotLimits::new(words[2].parse().unwrap());
        Self::Pool(runtime, FileSlots::open(&words[1], limits).unwrap())
    }

    fn take(&self) -> Held<'_> {
        match self {
            Self::Pool(runtime, pool) => {
                let slot = runtime.block_on(pool.acquire(&SlotKey::Dev, "a bench")).unwrap();
                Held::Slot { _slot: slot }
            }
            Self::Flock(file) => {
                flock(file, FlockOperation::LockExclusive).unwrap();
                Held::Lock(file)
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Self::Lock(file) = self {
            flock(file, FlockOperation::Unlock).unwrap();
        }
    }
}

/// By the clock that all processes share.
fn now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn say(words: &str) {
    // In one write, since several say what they do into one pipe.
    let line = format!("{} {words}\n", std::process::id());
    stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn told() -> Option<String> {
    stdin().lines().next().map(Result::unwrap)
}
