//! What the suites write into backends: the same each time, and hostile where that may matter.

use std::time::Duration;

use kugetsu_core::{
    Chance, IssueRef, Moment, Request, SessionId, Task, TaskId, Tick, Timestamp, WorkerId,
};

/// Texts that break whoever quotes, splits, trims or interprets what it is only to keep.
pub(super) const HOSTILE: [&str; 12] = [
    "-rf --help",
    "$(touch pwned) `id` ${HOME} %s %n \\0 \\x41",
    "it's \"quoted\" 'twice' \\\" and \\' back\\slashed",
    "two\nlines\r\nand\ttabs \n\n",
    "  spaces around  ",
    "'; DROP TABLE tasks; --",
    "{\"type\":\"settled\",\"data\":null}",
    "emoji 👩‍💻🇯🇵, 日本語, e\u{301}, \u{202e}right to left\u{202c}, \u{feff}mark",
    "\u{1b}[31mred\u{1b}[0m \u{7} \u{1} \u{85} \u{2028}",
    "../../etc/passwd",
    "null",
    "",
];

/// A moment so many milliseconds after the first one, on the first boot.
pub(super) fn at(millis: u64) -> Moment {
    on_boot(1, millis)
}

/// A moment so many milliseconds after the first one by the wall clock, on another boot.
pub(super) fn on_boot(boot: u128, millis: u64) -> Moment {
    Moment {
        at: Timestamp::from_millis(1_767_225_600_000 + millis),
        tick: Tick { boot: uuid::Uuid::from_u128(boot), millis: 1_000_000 + millis },
    }
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Issue `number` of the sample repository.
pub(super) fn issue(number: u64) -> IssueRef {
    issue_of("github.com/acme/widgets", number)
}

pub(super) fn issue_of(repository: &str, number: u64) -> IssueRef {
    match format!("{repository}#{number}").parse() {
        Ok(issue) => issue,
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn worker(name: &str) -> WorkerId {
    named(WorkerId::new(name))
}

/// The name, which is well formed.
pub(super) fn named<T>(name: Result<T, kugetsu_core::ids::InvalidName>) -> T {
    name.unwrap_or_else(|error| panic!("{error}"))
}

/// A task like no other with this number, for the issue of this number.
pub(super) fn task(number: u64) -> Task {
    Task::new(task_id(number), Request::dev(issue(number + 1), "Fix it."), at(0))
}

pub(super) fn task_id(number: u64) -> TaskId {
    TaskId::new(at(0).at, &Numbered(number))
}

pub(super) fn session_id(number: u64) -> SessionId {
    SessionId::new(at(0).at, &Numbered(number))
}

/// Chance that always comes out as this number.
#[derive(Debug)]
struct Numbered(u64);

impl Chance for Numbered {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[2..10].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }
}

/// The beginning of what a value looks like, for messages about values that may be long.
pub(super) fn short(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").chars().take(300).collect()
}
