//! What a machine has, as the kernel tells it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup;

/// A machine on which agents start, as one looks at it.
pub trait Machine: fmt::Debug + Send + Sync + 'static {
    /// What it has now. What cannot be seen is left out, and stands in nobody's way.
    fn look(&self) -> Look;
}

/// What was seen of a machine.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Look {
    /// Its memory.
    pub memory: Option<Memory>,
    /// How much of the last ten seconds some task waited for memory, in percent.
    pub pressure: Option<f64>,
    /// The disks that matter.
    pub disks: Vec<Disk>,
}

impl Look {
    /// So much memory is available, of so much in all, in bytes.
    pub fn with_memory(mut self, available: u64, total: u64) -> Self {
        self.memory = Some(Memory { available, total });
        self
    }

    /// Some task waited for memory this part of the last ten seconds, in percent.
    pub fn with_pressure(mut self, percent: f64) -> Self {
        self.pressure = Some(percent);
        self
    }

    /// So many bytes are free where this path lies.
    pub fn with_disk(mut self, path: impl Into<PathBuf>, free: u64) -> Self {
        self.disks.push(Disk { path: path.into(), free });
        self
    }
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// What could be had without swapping.
    pub available: u64,
    /// All there is.
    pub total: u64,
}

impl Memory {
    pub(super) fn new(available: u64, total: u64) -> Self {
        Self { available, total }
    }

    /// What is left within both.
    pub(super) fn narrower(self, other: Self) -> Self {
        Self::new(self.available.min(other.available), self.total.min(other.total))
    }
}

/// A disk, by what lies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// What lies there.
    pub path: PathBuf,
    /// How many bytes are free for us.
    pub free: u64,
}

/// The machine that this process runs on: `/proc/meminfo`, the memory's pressure where the kernel
/// tells it, the limits of the memory cgroups (of either version) that this process is in, and the
/// disks on which some places lie.
#[derive(Debug, Clone)]
pub struct ThisMachine {
    root: PathBuf,
    places: Vec<PathBuf>,
}

impl ThisMachine {
    /// This machine, with the disks on which these places lie or will lie.
    pub fn new(places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { root: PathBuf::from("/"), places: places.into_iter().collect() }
    }

    /// Reads `proc` and `sys` below this directory.
    pub fn at(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }
}

impl Machine for ThisMachine {
    fn look(&self) -> Look {
        let group = cgroup::look(&self.root);
        let whole = fs::read_to_string(self.root.join("proc/meminfo")).ok();
        let memory = whole.as_deref().and_then(meminfo);
        let memory = memory.into_iter().chain(group.memory).reduce(Memory::narrower);
        let whole = fs::read_to_string(self.root.join("proc/pressure/memory")).ok();
        let pressure = whole.as_deref().and_then(some_avg10);
        Look {
            memory,
            pressure: pressure.into_iter().chain(group.pressure).reduce(f64::max),
            disks: self.places.iter().filter_map(|place| disk(place)).collect(),
        }
    }
}

fn meminfo(text: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(Memory::new(field("MemAvailable")?, field("MemTotal")?))
}

/// `some avg10=1.23 avg60=…`, as `/proc/pressure/memory` and `memory.pressure` have it.
pub(super) fn some_avg10(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let avg = some.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    avg.parse().ok().filter(|percent: &f64| percent.is_finite())
}

/// The disk on which the place lies, or its nearest directory that is there.
fn disk(place: &Path) -> Option<Disk> {
    let seen = place.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(Disk { path: place.to_owned(), free: seen.f_bavail.saturating_mul(seen.f_frsize) })
}
