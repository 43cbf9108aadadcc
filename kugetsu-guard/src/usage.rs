//! What processes use: memory, processor time, and how many they are.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

use crate::marker::Marker;
use crate::proc::{self, Process, Stat};

/// What processes use at a moment, as the kernel tells it.
///
/// Sums of these are right: what several processes share is counted once, in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Memory in bytes: what each has for itself, and its part of what it shares (PSS). Where the
    /// kernel does not tell that to us, as of a process of another user, it is all that is resident.
    pub memory: u64,
    /// What has been moved from there to swap, in bytes.
    pub swapped: u64,
    /// Processor time used so far. What was waited for by whoever is counted is counted on, so
    /// that the time of a tree does not shrink when a part of it ends.
    pub processor: Duration,
    /// How many processes are alive.
    pub processes: usize,
}

impl Usage {
    /// What this process uses itself, without anything that it has started; `None` if it is gone.
    pub fn of(process: Process) -> Option<Self> {
        let stat = proc::stat(process.pid).filter(|stat| stat.process == process)?;
        (!stat.zombie).then(|| Self::alive(&stat, stat.processor))
    }

    /// What everything uses that descends from the process with this pid, without that one itself.
    /// Nothing, if it has no descendants.
    ///
    /// One look at `/proc`, and one at each descendant. The kernel adds up a process's memory page by
    /// page, which takes about a millisecond for each 100 MB; it blocks the thread for as long.
    pub fn below(pid: i32) -> Self {
        let all = proc::all();
        let waited_for =
            all.iter().find(|stat| stat.process.pid == pid).map(|stat| stat.waited_for);
        let below = descent(&all, pid).iter().map(|stat| Self::in_tree(stat)).sum();
        Self { processor: waited_for.unwrap_or_default(), ..Self::default() } + below
    }

    /// What a tree uses: its guard, all that descends from it, and whoever carries its marker.
    pub(crate) fn of_tree(guard: Option<Process>, marker: &Marker) -> Self {
        let all = proc::all();
        let is_guard = |stat: &&Stat| guard.is_some_and(|guard| stat.process == guard);
        let mut tree: Vec<&Stat> = all.iter().filter(is_guard).collect();
        if let Some(guard) = tree.first() {
            tree.extend(descent(&all, guard.process.pid));
        }
        let known: HashSet<i32> = tree.iter().map(|stat| stat.process.pid).collect();
        let others = all.iter().filter(|stat| !known.contains(&stat.process.pid));
        let me = proc::me();
        tree.extend(others.filter(|stat| stat.process.pid != me && stat.process.carries(marker)));
        tree.into_iter().map(Self::in_tree).sum()
    }

    /// One process of a tree: those that it has waited for belonged to the tree as well.
    fn in_tree(stat: &Stat) -> Self {
        let processor = stat.processor + stat.waited_for;
        if stat.zombie {
            Self { processor, ..Self::default() }
        } else {
            Self::alive(stat, processor)
        }
    }

    fn alive(stat: &Stat, processor: Duration) -> Self {
        let Some((memory, swapped)) = proc::memory(stat.process) else {
            return Self { processor, ..Self::default() };
        };
        Self { memory, swapped, processor, processes: 1 }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            memory: self.memory + other.memory,
            swapped: self.swapped + other.swapped,
            processor: self.processor + other.processor,
            processes: self.processes + other.processes,
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// All that descends from `root`, those too that wait to be reaped.
fn descent(all: &[Stat], root: i32) -> Vec<&Stat> {
    let mut children: HashMap<i32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            parents.push(child.process.pid);
            found.push(child);
        }
    }
    found
}

/// How much memory the machine has for its programs, in bytes: what the kernel has, or less where a
/// control group around this process says so. `None` if `/proc` does not tell.
pub fn machine_memory() -> Option<u64> {
    let kernel = fs::read_to_string("/proc/meminfo").ok()?;
    let total = proc::kib(&kernel, "MemTotal:")?;
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut path = std::path::Path::new("/sys/fs/cgroup").join(group);
    let mut least = total;
    while path.starts_with("/sys/fs/cgroup") {
        let limit = fs::read_to_string(path.join("memory.max")).unwrap_or_default();
        least = limit.trim().parse().unwrap_or(least).min(least);
        path.pop();
    }
    Some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, zombie: bool) -> Stat {
        let process = Process { pid, start: 1 };
        let second = Duration::from_secs(1);
        Stat { process, parent, session: 1, zombie, processor: second, waited_for: second }
    }

    #[test]
    fn a_descent_is_whole_and_nothing_else() {
        let all = [stat(10, 1, false), stat(11, 10, true), stat(12, 11, false), stat(13, 1, false)];
        let mut found: Vec<i32> = descent(&all, 10).iter().map(|s| s.process.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [11, 12]);
    }

    #[test]
    fn whoever_waits_to_be_reaped_has_time_and_nothing_else() {
        let usage = Usage::in_tree(&stat(i32::MAX, 1, true));
        assert_eq!(usage, Usage { processor: Duration::from_secs(2), ..Usage::default() });
    }
}
