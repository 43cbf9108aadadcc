//! Looking again and again at what everything of ours uses, and at the machine around it.

use std::fs;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kugetsu_guard::Usage;
use kugetsu_guard::proc::Process;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::row::{mb, number, round};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);
/// Looking takes at most one part in so many of the time, since it uses a processor, too.
const SHARE: u32 = 20;

/// What was in use at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    /// kugetsu's own process.
    pub(super) kugetsu_mb: f64,
    /// All that descends from it: guards, opencode and what that starts.
    pub(super) agents_mb: f64,
    /// How many processes these are.
    pub(super) processes: usize,
    /// All of ours since the last sample, as a part of all processors.
    pub(super) cpu_percent: f64,
    /// All others since the last sample.
    pub(super) others_cpu_percent: f64,
}

impl Sample {
    pub(super) fn memory_mb(&self) -> f64 {
        self.kugetsu_mb + self.agents_mb
    }
}

/// What all of ours uses now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) own: Usage,
    pub(super) agents: Usage,
}

impl Now {
    /// A look at `/proc`. It blocks for a few milliseconds.
    pub(super) fn look() -> Self {
        let me = Process::of(i32::try_from(std::process::id()).unwrap_or_default());
        let own = me.and_then(Usage::of).unwrap_or_default();
        Self { own, agents: me.map(|me| Usage::below(me.pid)).unwrap_or_default() }
    }

    pub(super) fn memory(&self) -> u64 {
        self.own.memory + self.agents.memory
    }

    pub(super) fn processor(&self) -> Duration {
        self.own.processor + self.agents.processor
    }
}

/// The machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Machine {
    /// How many processors we may use.
    pub(super) processors: usize,
    /// How many there are, for whomever.
    all_processors: usize,
    /// Bytes.
    pub(super) memory: u64,
}

impl Machine {
    pub(super) fn this() -> io::Result<Self> {
        let memory = kugetsu_guard::machine_memory()
            .ok_or_else(|| io::Error::other("/proc/meminfo does not say how much there is"))?;
        let processors = thread::available_parallelism()?.get();
        let told = fs::read_to_string("/proc/stat").unwrap_or_default();
        // The first line is the sum of the others.
        let all = told.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1);
        Ok(Self { processors, all_processors: all.max(processors), memory })
    }

    /// How much memory there has to be left for everybody else, in bytes: below that agents are
    /// stopped rather than the machine with them.
    pub(super) fn reserve(self) -> u64 {
        (self.memory / 20).max(256 << 20)
    }

    /// This time of one processor as a part of what all of ours had in `passed`.
    pub(super) fn part(self, time: Duration, passed: Duration) -> f64 {
        let all = passed.as_secs_f64() * number(self.processors);
        if all > 0.0 { (time.as_secs_f64() / all).min(1.0) } else { 0.0 }
    }
}

/// How much memory could be had now without swapping, in bytes.
pub(super) fn available() -> Option<u64> {
    let told = fs::read_to_string("/proc/meminfo").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// How long the machine's processors have been busy for anybody, and how long they have been there, in
/// ticks.
fn ticks() -> Option<(u64, u64)> {
    let told = fs::read_to_string("/proc/stat").ok()?;
    let line = told.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).take(8).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all: u64 = ticks.iter().sum();
    Some((all.saturating_sub(idle), all))
}

/// One look at everything.
struct Look {
    at: Instant,
    now: Now,
    ticks: Option<(u64, u64)>,
}

impl Look {
    fn take() -> Self {
        Self { at: Instant::now(), now: Now::look(), ticks: ticks() }
    }

    fn since(&self, before: &Self, machine: Machine) -> Sample {
        let used = self.now.processor().saturating_sub(before.now.processor());
        let ours = machine.part(used, self.at - before.at);
        Sample {
            at_ms: unix_ms(),
            kugetsu_mb: round(mb(self.now.own.memory)),
            agents_mb: round(mb(self.now.agents.memory)),
            processes: self.now.agents.processes,
            cpu_percent: round(100.0 * ours),
            others_cpu_percent: round(100.0 * self.others_since(before, ours, machine)),
        }
    }

    /// What the processors have been busy with that is not ours.
    fn others_since(&self, before: &Self, ours: f64, machine: Machine) -> f64 {
        let Some((now, then)) = self.ticks.zip(before.ticks) else { return 0.0 };
        let part = |ticks: u64, of: u64| mb(ticks) / mb(of.max(1));
        let whole = part(now.0.saturating_sub(then.0), now.1.saturating_sub(then.1));
        let ours = ours * number(machine.processors) / number(machine.all_processors);
        (whole - ours).max(0.0)
    }
}

/// Looks until it is stopped. Dropping it stops it, too.
pub(super) struct Sampler {
    stop: Sender<()>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    /// Starts looking. `low` is cancelled when the machine has so little memory left that agents have
    /// to be stopped.
    pub(super) fn start(machine: Machine, low: CancellationToken) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let look = move || {
            let (mut samples, mut before, mut wait) = (Vec::new(), Look::take(), EVERY);
            loop {
                let is_over = stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
                let look = Look::take();
                wait = EVERY.max(look.at.elapsed() * SHARE);
                samples.push(look.since(&before, machine));
                before = look;
                if available().is_some_and(|left| left < machine.reserve()) {
                    low.cancel();
                }
                if is_over {
                    return samples;
                }
            }
        };
        let thread = thread::Builder::new().name("sampler".into()).spawn(look)?;
        Ok(Self { stop, thread })
    }

    /// Looks once more, and returns all that was seen.
    pub(super) fn stop(self) -> Vec<Sample> {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn unix_ms() -> u64 {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(passed.as_millis()).unwrap_or_default()
}
