//! Admission: whether the machine has room for another agent before one is started.
//!
//! A slot says how many agents there may be, and not whether there is memory for one more. Who has a
//! slot and is about to start an agent looks at the machine: at the memory that is available, at how
//! much the machine is held up for want of memory, and at the space on the disks. If there is not
//! enough, nothing is started, which costs nothing, and one looks again in a few seconds. An agent that
//! runs is never stopped for this.
//!
//! How much memory has to be there: opencode's server takes 340 to 600 MB when the first agent starts,
//! and so does every process of an agent that has one to itself; each further agent on a server that is
//! up takes about 20 MB. So a start wants [`Admission::MEMORY`] (a quarter of all memory on a machine
//! that has less than four times that much, so that a first agent can start on a small one), and a
//! quarter of that where a [process is up already](kugetsu_core::AgentRunner::is_warm). What was
//! admitted a moment ago has yet to take its memory, so the same is wanted once more for each of those.

mod cgroup;
mod machine;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kugetsu_core::Tick;

pub use machine::{Disk, Look, Machine, Memory, ThisMachine};

/// How long an agent takes until the memory that it needs to begin with is seen to be gone.
pub(crate) const BEGINNING: Duration = Duration::from_secs(15);

/// How often it is looked whether there is room, by whoever waits for some.
pub(crate) const AGAIN: Duration = Duration::from_secs(2);

/// What part of the reserve is wanted where the agent's process is up already.
const WARM: u64 = 4;

/// What part of a small machine's memory is the reserve.
const PART: u64 = 4;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How much room there has to be for an agent to start. Clones share what they have admitted.
#[derive(Debug, Clone)]
pub struct Admission {
    machine: Arc<dyn Machine>,
    memory: Option<u64>,
    disk: u64,
    /// When agents were admitted that may still be beginning, and how much each of them needs.
    admitted: Arc<Mutex<Vec<(Tick, u64)>>>,
}

impl Admission {
    /// How much memory has to be available for an agent to start, unless set: 512 MiB.
    pub const MEMORY: u64 = 512 * MIB;

    /// How much space has to be free where worktrees and the store lie, unless set: 2 GiB.
    pub const DISK: u64 = 2 * GIB;

    /// Some task that wants memory waits for it this part of the time (the kernel's `some avg10` of
    /// memory, in percent): then no agent starts.
    pub const PRESSURE: f64 = 20.0;

    /// The usual reserves on this machine.
    pub fn new(machine: impl Machine) -> Self {
        Self::on(Arc::new(machine))
    }

    /// The usual reserves on a machine that others look at, too.
    pub fn on(machine: Arc<dyn Machine>) -> Self {
        Self { machine, memory: None, disk: Self::DISK, admitted: Arc::default() }
    }

    /// So many bytes of memory have to be available. With 0 neither memory nor pressure counts.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// So many bytes have to be free on each disk. With 0 no disk counts.
    pub fn with_disk(mut self, bytes: u64) -> Self {
        self.disk = bytes;
        self
    }

    /// What an agent that started now would lack, with its process up already or not; `None` if there
    /// is room. Nobody is admitted by this.
    pub fn lack(&self, is_warm: bool) -> Option<Lack> {
        let look = self.machine.look();
        self.lacks(&look, self.weight(&look, is_warm))
    }

    /// Admits an agent, or says what it lacks. `beside` is how many agents of other processes were
    /// admitted just before it.
    pub(crate) fn admit(&self, is_warm: bool, beside: u64, now: Tick) -> Result<(), Lack> {
        let look = self.machine.look();
        let weight = self.weight(&look, is_warm);
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        admitted.retain(|(since, _)| now.since(*since).is_some_and(|age| age < BEGINNING));
        let ours = admitted.iter().map(|(_, weight)| *weight).sum::<u64>();
        let theirs = self.weight(&look, false).saturating_mul(beside);
        let wanted = weight.saturating_add(ours).saturating_add(theirs);
        if let Some(lack) = self.lacks(&look, wanted) {
            return Err(lack);
        }
        admitted.push((now, weight));
        Ok(())
    }

    /// How much memory an agent has to find.
    fn weight(&self, look: &Look, is_warm: bool) -> u64 {
        let reserve = match (self.memory, look.memory) {
            (Some(set), _) => set,
            (None, Some(memory)) => Self::MEMORY.min(memory.total / PART),
            (None, None) => Self::MEMORY,
        };
        if is_warm { reserve / WARM } else { reserve }
    }

    fn lacks(&self, look: &Look, wanted: u64) -> Option<Lack> {
        if self.memory != Some(0) {
            if let Some(Memory { available, .. }) = look.memory.filter(|m| m.available < wanted) {
                return Some(Lack::Memory { available, wanted });
            }
            if let Some(percent) = look.pressure.filter(|percent| *percent >= Self::PRESSURE) {
                return Some(Lack::Calm { percent });
            }
        }
        let full = look.disks.iter().find(|disk| disk.free < self.disk)?;
        Some(Lack::Disk { path: full.path.clone(), free: full.free, wanted: self.disk })
    }
}

/// What there is too little of for another agent to start.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Lack {
    /// Memory, in bytes.
    Memory {
        /// How much is available.
        available: u64,
        /// How much is wanted.
        wanted: u64,
    },
    /// Those who want memory wait too long for it.
    Calm {
        /// How much of the time, in percent.
        percent: f64,
    },
    /// Space on a disk, in bytes.
    Disk {
        /// Where.
        path: PathBuf,
        /// How much is free.
        free: u64,
        /// How much is wanted.
        wanted: u64,
    },
}

impl Lack {
    /// Which kind of lack it is, whatever its figures.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { available, wanted } => {
                write!(f, "memory {} free, {} wanted", size(*available), size(*wanted))
            }
            Self::Calm { percent } => write!(
                f,
                "memory is waited for {percent:.0} % of the time, less than {:.0} % wanted",
                Admission::PRESSURE
            ),
            Self::Disk { path, free, wanted } => {
                let path = path.display();
                write!(f, "disk {} free at {path}, {} wanted", size(*free), size(*wanted))
            }
        }
    }
}

/// `1.2 GiB`, `512 MiB`: rounded down, so that what lacks is never told as enough.
fn size(bytes: u64) -> String {
    if bytes < GIB {
        return format!("{} MiB", bytes / MIB);
    }
    let tenths = bytes.saturating_mul(10) / GIB;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_larger_unit_and_rounded_down() {
        assert_eq!(size(0), "0 MiB");
        assert_eq!(size(512 * MIB), "512 MiB");
        assert_eq!(size(GIB - 1), "1023 MiB");
        assert_eq!(size(GIB + GIB / 5 + 1), "1.2 GiB");
        assert_eq!(size(2 * GIB - 1), "1.9 GiB");
        assert_eq!(size(2 * GIB), "2.0 GiB");
    }
}
