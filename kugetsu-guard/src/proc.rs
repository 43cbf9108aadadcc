//! Processes as `/proc` shows them: who descends from whom, and who carries a marker.
//!
//! A pid alone names nobody, because the kernel gives it out again. Here a process is its pid and
//! the moment it started, and a signal goes through a pidfd that is checked against both.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::marker::Marker;

/// One process, told apart from any later one that has its number.
///
/// Exhaustive: these two tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Clock ticks from boot to the start of the process.
    pub start: u64,
}

/// What `/proc/<pid>/stat` says of a process.
pub(crate) struct Stat {
    pub(crate) process: Process,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    pub(crate) zombie: bool,
    /// The processor time that it has used itself.
    pub(crate) processor: Duration,
    /// That of the children that it has waited for.
    pub(crate) waited_for: Duration,
}

impl Process {
    /// The living process with this pid, if there is one.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).filter(|stat| !stat.zombie).map(|stat| stat.process)
    }

    /// Whether the process is still there and not merely waiting to be reaped.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal to this process and to no other; a process that is gone is no error.
    pub(crate) fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
        // From here on the pidfd names one process for good; it is ours if it started when ours did.
        if stat(self.pid).is_some_and(|stat| stat.process == self) {
            let _ = rustix::process::pidfd_send_signal(&pidfd, signal);
        }
    }

    /// Whether the process has a handler of its own for SIGTERM, so that waiting for it makes sense.
    pub(crate) fn listens_to_term(self) -> bool {
        fs::read_to_string(self.file("status")).is_ok_and(|status| catches_term(&status))
    }

    /// Whether the marker was in the environment that the process was started with.
    pub(crate) fn carries(self, marker: &Marker) -> bool {
        fs::read(self.file("environ")).is_ok_and(|environ| {
            environ.split(|&byte| byte == 0).any(|entry| entry == marker.entry())
        })
    }

    /// The kernel's session that the process is in: who left its parent's is on its own.
    pub fn session(self) -> Option<i32> {
        stat(self.pid).filter(|stat| stat.process == self).map(|stat| stat.session)
    }

    /// Whether the process works below the directory, or was started there.
    pub fn works_in(self, directory: &Path) -> bool {
        if fs::read_link(self.file("cwd")).is_ok_and(|cwd| cwd.starts_with(directory)) {
            return true;
        }
        fs::read(self.file("environ")).is_ok_and(|environ| {
            environ.split(|&byte| byte == 0).any(|entry| {
                entry
                    .strip_prefix(b"PWD=")
                    .is_some_and(|pwd| Path::new(OsStr::from_bytes(pwd)).starts_with(directory))
            })
        })
    }

    /// The program's name as the kernel keeps it, for people.
    pub fn name(self) -> String {
        fs::read_to_string(self.file("comm"))
            .map(|name| name.trim_end().to_owned())
            .unwrap_or_default()
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }
}

/// Every living descendant of `root`, without `root` itself.
pub fn descendants(root: i32) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for stat in pids().filter_map(stat) {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).into_iter().flatten() {
            parents.push(child.process.pid);
            if !child.zombie {
                found.push(child.process);
            }
        }
    }
    found
}

/// The child of `parent` that was started first, which is its own program if it has adopted the
/// others.
pub fn first_child(parent: i32) -> Option<Process> {
    pids()
        .filter_map(stat)
        .filter(|stat| stat.parent == parent && !stat.zombie)
        .map(|stat| stat.process)
        .min_by_key(|process| (process.start, process.pid))
}

/// This very process.
pub(crate) fn me() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// All processes there are, those too that wait to be reaped.
pub(crate) fn all() -> Vec<Stat> {
    pids().filter_map(stat).collect()
}

/// Every living process that carries the marker, except this one.
pub(crate) fn carriers(marker: &Marker) -> Vec<Process> {
    let me = me();
    pids()
        .filter(|&pid| pid != me)
        .filter_map(Process::of)
        .filter(|process| process.carries(marker))
        .collect()
}

/// Ends every process that `find` finds, politely first, until it finds none or the time is over.
/// Returns whether none is left.
pub fn end_all(find: impl Fn() -> Vec<Process>, grace: Duration, at_most: Duration) -> bool {
    let start = Instant::now();
    let mut told = Vec::new();
    loop {
        let left = find();
        if left.is_empty() || start.elapsed() >= at_most {
            return left.is_empty();
        }
        let surely = start.elapsed() >= grace || !left.iter().any(|p| p.listens_to_term());
        for process in left {
            if surely {
                process.signal(Signal::KILL);
            } else if !told.contains(&process) {
                process.signal(Signal::TERM);
                told.push(process);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// So often in a row nobody is to be found: for a moment while a program takes the place of another,
/// its process has no environment at all.
const LOOKS: u32 = 3;

/// Ends every process that carries the marker, until none is left or the time is over. Returns
/// those that it ended.
pub(crate) fn end_carriers(marker: &Marker, at_most: Duration) -> Vec<Process> {
    let until = Instant::now() + at_most;
    let mut ended = Vec::new();
    let mut looks = 0;
    loop {
        let left = carriers(marker);
        looks = if left.is_empty() { looks + 1 } else { 0 };
        if looks >= LOOKS || Instant::now() >= until {
            ended.retain(|process: &Process| !process.is_alive());
            return ended;
        }
        for process in left {
            process.signal(Signal::KILL);
            if !ended.contains(&process) {
                ended.push(process);
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The resident memory of a process, in bytes.
pub fn resident(process: Process) -> Option<u64> {
    kib(&fs::read_to_string(process.file("status")).ok()?, "VmRSS:")
}

/// A process's part of the memory that it has, and of what it has in swap, in bytes. The former is
/// all of its resident memory where the kernel tells nobody its part.
pub(crate) fn memory(process: Process) -> Option<(u64, u64)> {
    let rollup = fs::read_to_string(process.file("smaps_rollup")).unwrap_or_default();
    match kib(&rollup, "Pss:") {
        Some(part) => Some((part, kib(&rollup, "SwapPss:").unwrap_or_default())),
        None => resident(process).map(|all| (all, 0)),
    }
}

/// The bytes of the line that begins so, in a file that tells kibibytes.
pub(crate) fn kib(text: &str, name: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix(name))?;
    kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The ancestors of a process, its parent first.
pub(crate) fn ancestors(of: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = stat(of).map(|stat| stat.parent);
    while let Some(pid) = next.filter(|&pid| pid > 0 && !found.contains(&pid)) {
        found.push(pid);
        next = stat(pid).map(|stat| stat.parent);
    }
    found
}

/// The words of a process's command line; none if it cannot be read.
pub(crate) fn words(pid: i32) -> Vec<Vec<u8>> {
    let line = read(pid, "cmdline").unwrap_or_default();
    line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(pid, std::str::from_utf8(&read(pid, "stat")?).ok()?)
}

/// What the kernel tells of a process. It is told at once where there is room for it, which
/// `fs::read` makes little by little.
fn read(pid: i32, what: &str) -> Option<Vec<u8>> {
    let mut file = fs::File::open(format!("/proc/{pid}/{what}")).ok()?;
    let mut told = vec![0; 4096];
    let mut length = 0;
    loop {
        match file.read(&mut told[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
        if length == told.len() {
            told.resize(length * 2, 0);
        }
    }
    told.truncate(length);
    Some(told)
}

/// The program's name stands in parentheses and may itself hold spaces and parentheses, so the
/// fields are counted from the last one.
fn parse_stat(pid: i32, stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let state = *fields.first()?;
    let ticks = |one: usize, other: usize| {
        let ticks: u64 = fields.get(one)?.parse().ok()?;
        Some(time(ticks + fields.get(other)?.parse::<u64>().ok()?))
    };
    Some(Stat {
        process: Process { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        zombie: matches!(state, "Z" | "X" | "x"),
        processor: ticks(11, 12)?,
        waited_for: ticks(13, 14)?,
    })
}

fn time(ticks: u64) -> Duration {
    let a_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_secs(ticks / a_second)
        + Duration::from_nanos(ticks % a_second * 1_000_000_000 / a_second)
}

fn catches_term(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (Signal::TERM.as_raw() - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_is_no_trouble() {
        let line = "42 (a) Z (b) S 7 42 42 0 -1 4194304 1 0 0 0 1 2 3 0 20 0 1 0 987654 1000 50 18446744073709551615";
        let stat = parse_stat(42, line).unwrap();
        assert_eq!(stat.process, Process { pid: 42, start: 987_654 });
        assert_eq!(stat.parent, 7);
        assert_eq!(stat.session, 42);
        assert!(!stat.zombie);
        let tick = time(1);
        assert_eq!((stat.processor, stat.waited_for), (3 * tick, 3 * tick));
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let rollup =
            "Rss:   900 kB\nPss:                 123 kB\nPss_Anon:   7 kB\nSwapPss:  2 kB\n";
        assert_eq!(kib(rollup, "Pss:"), Some(123 << 10));
        assert_eq!(kib(rollup, "SwapPss:"), Some(2 << 10));
        assert_eq!(kib(rollup, "Nothing:"), None);
    }

    #[test]
    fn a_handler_for_term_is_seen_in_the_mask() {
        assert!(catches_term("Name:\tx\nSigCgt:\t0000000000004002\n"));
        assert!(!catches_term("Name:\tx\nSigCgt:\t0000000000000002\n"));
        assert!(!catches_term(""));
    }

    #[test]
    fn a_process_is_found_by_pid_and_start_and_nobody_else_is_signalled() {
        let me = Process::of(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        assert!(me.is_alive());
        let another = Process { start: me.start + 1, ..me };
        assert!(!another.is_alive());
        // Would end this test if the start were not looked at.
        another.signal(Signal::KILL);
    }
}
