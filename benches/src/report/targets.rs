//! What is aimed at, path by path.

use std::collections::BTreeMap;

use super::agents::Run;
use super::measured::Group;

/// One aim.
#[derive(Debug)]
pub struct Target {
    /// As it is counted.
    pub number: &'static str,
    /// What it is about, and in what.
    pub path: &'static str,
    /// The most that it may be.
    pub most: f64,
    /// Where it is measured.
    pub group: &'static str,
    /// Of what.
    pub function: &'static str,
    /// Compared with what; the group's yardstick if nothing is named.
    pub beside: Option<&'static str>,
    /// Where it is told why it is missed, if it is.
    pub limit: Option<&'static str>,
}

/// How a target fared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It was so much, which is good.
    Met(f64),
    /// It was so much, which is too much.
    Missed(f64),
    /// Nobody measured it.
    Unmeasured,
    /// A test holds it.
    Test,
}

impl Target {
    /// How it fared in what was measured.
    pub fn judge(&self, groups: &BTreeMap<String, Group>, runs: &[Run]) -> Verdict {
        let value = match self.group {
            "test" => return Verdict::Test,
            "capacity" => super::agents::figure(self.function, runs),
            group => groups.get(group).and_then(|group| match self.beside {
                None => group.ratio(self.function),
                Some(other) => Some(group.ratio(self.function)? / group.ratio(other)?),
            }),
        };
        match value {
            Some(value) if value <= self.most => Verdict::Met(value),
            Some(value) => Verdict::Missed(value),
            None => Verdict::Unmeasured,
        }
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target(
        "1",
        "a slot taken and given back, free (× raw flock pair)",
        1.2,
        "slots: free",
        "acquire and drop",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "2",
        "the same, 2 of 3 held",
        2.0,
        "slots: 2 of 3 held",
        "acquire and drop",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "3",
        "`slots run -- true` (× the flock command)",
        1.1,
        "one shot: a command under a limit",
        "kugetsu slots run",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "3",
        "the same (× bash that counts files)",
        0.2,
        "one shot: a command under a limit",
        "kugetsu slots run",
        Some("bash that counts files"),
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "3",
        "the same (× GNU sem)",
        0.02,
        "one shot: a command under a limit",
        "kugetsu slots run",
        Some("GNU sem"),
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "4",
        "a slot handed over, 1 process waits (× futex wake)",
        2.0,
        "slots: handed over to one of 1 processes",
        "acquire, any of 3",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "4",
        "the same, 64 processes wait",
        2.0,
        "slots: handed over to one of 64 processes",
        "acquire, any of 3",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "5",
        "from one task's end to the next one's start (× the flock command)",
        1.2,
        "gap: one task's end to the next one's start",
        "kugetsu slots run",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "6",
        "the holder killed, the next one has it (× blocking flock)",
        2.0,
        "slots: holder killed",
        "acquire, any of 3",
        None,
        Some("[0009](design/0009-slots.md)"),
    ),
    target(
        "7",
        "enqueue, one process (× raw SQLite commit)",
        1.05,
        "enqueue: 1000 tasks",
        "SQLite",
        None,
        Some("[0011](design/0011-writing-together.md)"),
    ),
    target(
        "8",
        "enqueue, 8 processes (× PostgreSQL with 8 connections)",
        1.0,
        "enqueue: 8 clients, beside PostgreSQL",
        "8 processes",
        None,
        Some("[0011](design/0011-writing-together.md)"),
    ),
    target(
        "8",
        "enqueue, 8 clients of one process (× the same)",
        1.0,
        "enqueue: 8 clients, beside PostgreSQL",
        "8 clients of one process",
        None,
        Some("[0011](design/0011-writing-together.md)"),
    ),
    target(
        "9",
        "claim at 10⁶ tasks (× at 10)",
        1.2,
        "claim: few and many tasks",
        "1000000 tasks",
        None,
        Some("[0011](design/0011-writing-together.md)"),
    ),
    target(
        "10",
        "enqueue to claimed by a waiting daemon (× the commit)",
        3.0,
        "enqueue to claimed: a waiting daemon",
        "SQLite and the bell",
        None,
        Some("[0011](design/0011-writing-together.md)"),
    ),
    target(
        "11",
        "worktree of 10,000 files (× git worktree add)",
        0.8,
        "worktrees prepare: 10000 files",
        "prepare, source unchanged",
        None,
        Some("[0012](design/0012-worktrees-fast.md)"),
    ),
    target(
        "12",
        "worktree of 100 files (× git worktree add)",
        0.55,
        "worktrees prepare: 100 files",
        "prepare, source unchanged",
        None,
        Some("[0012](design/0012-worktrees-fast.md)"),
    ),
    target(
        "13",
        "worktree of 10,000 files removed (× git worktree remove)",
        0.1,
        "worktrees remove: 10000 files",
        "remove, unless work would be lost",
        None,
        Some("[0012](design/0012-worktrees-fast.md)"),
    ),
    target(
        "14",
        "`kugetsu --version` (× a Rust hello)",
        1.3,
        "start-up: the command",
        "kugetsu --version",
        None,
        None,
    ),
    target(
        "14",
        "`kugetsu list` (× a Rust hello)",
        1.8,
        "start-up: the command",
        "kugetsu list",
        None,
        None,
    ),
    target(
        "15",
        "list of 1,000 active sessions (× JSON files with one index)",
        0.01,
        "list active: 1000 sessions",
        "SQLite",
        None,
        None,
    ),
    target(
        "15",
        "a session put beside 1,000 (× JSON files with one index)",
        0.02,
        "put: 1000 sessions",
        "SQLite",
        None,
        None,
    ),
    target(
        "16",
        "an idle daemon",
        f64::INFINITY,
        "test",
        "an_idle_daemon_does_as_good_as_nothing",
        None,
        None,
    ),
    target(
        "17",
        "memory of each further agent on the shared server, all of ours included, in MB",
        20.0,
        "capacity",
        "further",
        None,
        Some("[0014](design/0014-start-beside-a-daemon.md)"),
    ),
    target(
        "17",
        "memory of 16 agents (× a process for each)",
        0.13,
        "capacity",
        "whole",
        None,
        Some("[0014](design/0014-start-beside-a-daemon.md)"),
    ),
    target(
        "18",
        "kugetsu's own memory with 16 agents, in MB",
        30.0,
        "capacity",
        "kugetsu",
        None,
        Some("[0014](design/0014-start-beside-a-daemon.md)"),
    ),
];

const fn target(
    number: &'static str,
    path: &'static str,
    most: f64,
    group: &'static str,
    function: &'static str,
    beside: Option<&'static str>,
    limit: Option<&'static str>,
) -> Target {
    Target { number, path, most, group, function, beside, limit }
}
