//! Whose fault an error on the line is: the attempt's own, or that of the machine around it.

use std::error::Error;
use std::io;

use kugetsu_core::{AgentError, Cause, Failure, QueueError, Retry, SessionError, WorktreeError};

use super::rules::PromptError;

/// The error as the failure of an attempt.
pub(super) trait Fault {
    fn failure(&self) -> Failure;
}

impl Fault for WorktreeError {
    fn failure(&self) -> Failure {
        if let Self::Unreachable { .. } = self {
            return Failure::interruption(self.to_string());
        }
        outside(self).unwrap_or_else(|| Failure::new(self.to_string(), self.retry()))
    }
}

impl Fault for AgentError {
    fn failure(&self) -> Failure {
        outside(self).unwrap_or_else(|| Failure::new(self.to_string(), self.retry()))
    }
}

// A store of our own that may answer next time is never the attempt's fault.
impl Fault for SessionError {
    fn failure(&self) -> Failure {
        outside(self).unwrap_or_else(|| of_store(self.to_string(), self.retry()))
    }
}

impl Fault for QueueError {
    fn failure(&self) -> Failure {
        outside(self).unwrap_or_else(|| of_store(self.to_string(), self.retry()))
    }
}

impl Fault for PromptError {
    fn failure(&self) -> Failure {
        Failure::new(self.to_string(), self.retry())
    }
}

fn of_store(reason: String, retry: Retry) -> Failure {
    let cause = if retry.is_possible() { Cause::Interruption } else { Cause::Attempt };
    Failure::new(reason, retry).with_cause(cause)
}

/// What a machine lacks that has nothing to do with any task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    Space,
    Files,
    Processes,
    Memory,
    Turn,
}

impl Lack {
    fn words(self) -> &'static str {
        match self {
            Self::Space => "no space is left on the disk; the task goes on once some is free",
            Self::Files => "too many files are open; raise the limit (`ulimit -n`)",
            Self::Processes => "the system starts no more processes for now",
            Self::Memory => "the system has no memory left",
            Self::Turn => "a database is in use by somebody else",
        }
    }

    /// As the system tells it.
    fn of(error: &io::Error) -> Option<Self> {
        const ENOMEM: i32 = 12;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const EAGAIN: i32 = 11;
        Some(match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Self::Space,
            (io::ErrorKind::OutOfMemory, _) | (_, Some(ENOMEM)) => Self::Memory,
            (_, Some(ENFILE | EMFILE)) => Self::Files,
            (_, Some(EAGAIN)) => Self::Processes,
            _ => return None,
        })
    }

    /// As programs tell it, where nothing but their words is left.
    fn told(words: &str) -> Option<Self> {
        const TOLD: [(&str, Lack); 9] = [
            ("no space left on device", Lack::Space),
            ("disk quota exceeded", Lack::Space),
            ("disk is full", Lack::Space),
            ("too many open files", Lack::Files),
            ("resource temporarily unavailable", Lack::Processes),
            ("unable to create thread", Lack::Processes),
            ("cannot allocate memory", Lack::Memory),
            ("database is locked", Lack::Turn),
            ("sqlite_busy", Lack::Turn),
        ];
        let words = words.to_lowercase();
        TOLD.iter().find(|(told, _)| words.contains(told)).map(|(_, lack)| *lack)
    }
}

/// The failure, if it is for want of something that the machine lacks.
fn outside(error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut below = Some(error);
    let mut lack = None;
    while let (Some(error), None) = (below, lack) {
        lack = error.downcast_ref::<io::Error>().and_then(Lack::of);
        below = error.source();
    }
    let lack = lack.or_else(|| Lack::told(&error.to_string()))?;
    Some(Failure::interruption(format!("{}: {error}", lack.words())))
}

#[cfg(test)]
mod tests {
    use kugetsu_core::{SessionKind, StoreError};

    use super::*;

    fn agent(source: impl Into<kugetsu_core::error::Source>, retry: Retry) -> Box<dyn Fault> {
        let (who, operation) = ("agent".into(), "start".into());
        Box::new(AgentError::Backend { who, operation, retry, source: source.into() })
    }

    fn worktree(source: impl Into<kugetsu_core::error::Source>, retry: Retry) -> Box<dyn Fault> {
        let (who, operation) = ("git".into(), "check it out".into());
        Box::new(WorktreeError::Backend { who, operation, retry, source: source.into() })
    }

    fn store(retry: Retry) -> StoreError {
        let (who, operation) = ("kugetsu.db".into(), "load".into());
        StoreError::Backend { who, operation, retry, source: "busy".into() }
    }

    fn session(retry: Retry) -> Box<dyn Fault> {
        let (who, operation) = ("kugetsu.db".into(), "put".into());
        Box::new(SessionError::Backend { who, operation, retry, source: "busy".into() })
    }

    #[test]
    fn each_kind_of_error_costs_what_it_should_and_ends_when_nothing_would_help() {
        let errno = io::Error::from_raw_os_error;
        let (never, later) = (Retry::Never, Retry::Later);
        let died = |detail: &str| {
            Box::new(AgentError::Died { who: "agent".into(), detail: detail.into() })
        };
        let missing =
            AgentError::Missing { program: "agent".into(), why: "it is not there".into() };
        let no_repository =
            WorktreeError::NoRepository { repository: "a/b".into(), why: "not found".into() };
        let unreachable =
            WorktreeError::Unreachable { repository: "a/b".into(), why: "no route".into() };
        let taken = SessionError::Conflict { kind: SessionKind::Pm };
        let cases: Vec<(Box<dyn Fault>, &str, &str)> = vec![
            (worktree(errno(28), later), "is free", "no space is left"),
            (worktree(errno(122), never), "is free", "no space is left"),
            (worktree("fatal: write error: No space left on device", never), "is free", "no space"),
            (agent(errno(28), later), "is free", "no space is left"),
            (agent(errno(24), later), "is free", "ulimit"),
            (agent(errno(23), later), "is free", "ulimit"),
            (agent(errno(11), later), "is free", "no more processes"),
            (agent(errno(12), later), "is free", "no memory"),
            (agent("SQLITE_BUSY: database is locked", later), "is free", "in use by somebody else"),
            (died("database is locked"), "is free", "in use by somebody else"),
            (session(later), "is free", "busy"),
            (Box::new(taken), "is free", "somebody else"),
            (Box::new(QueueError::Store(store(later))), "is free", "busy"),
            (session(never), "ends it", "busy"),
            (Box::new(QueueError::Store(store(never))), "ends it", "busy"),
            (died("signal 11"), "costs one", "signal 11"),
            (agent("refused", later), "costs one", "refused"),
            (agent(errno(2), never), "ends it", "os error 2"),
            (worktree("timed out", later), "costs one", "timed out"),
            (Box::new(unreachable), "is free", "no route"),
            (Box::new(missing), "ends it", "is not there"),
            (Box::new(no_repository), "ends it", "not found"),
        ];
        for (error, expected, words) in cases {
            let failure = error.failure();
            let effect = match (&failure.cause, failure.retry.is_possible()) {
                (Cause::Interruption, true) => "is free",
                (Cause::Attempt, true) => "costs one",
                (_, false) => "ends it",
                other => panic!("{other:?}"),
            };
            assert_eq!(effect, expected, "{failure}");
            assert!(failure.reason.contains(words), "{failure}");
        }
    }
}
