//! Contexts: what is remembered of each issue, one file an issue, kept by the line itself.
//!
//! The JSON form is published and versioned. A context of format `kugetsu.context/1`:
//!
//! ```json
//! {
//!   "format": "kugetsu.context/1",
//!   "issue": "github.com/acme/widgets#42",
//!   "branch": "fix/issue-42",
//!   "worktree": "/home/me/.kugetsu/worktrees/github.com-acme-widgets-42",
//!   "session": "ses_1",
//!   "task": "019b76da-a800-7000-8000-000000000001",
//!   "attempt": 1,
//!   "began": 1767225600000,
//!   "updated": 1767225610000,
//!   "message": "Fix the crash.",
//!   "outcome": "completed",
//!   "messages": [
//!     { "at": 1767225600000, "who": "user", "text": "Fix the crash." },
//!     { "at": 1767225609000, "who": "agent", "text": "It is fixed." }
//!   ]
//! }
//! ```
//!
//! Within the format fields are added, never changed or removed. A reader ignores fields that it
//! does not know.

mod attempt;
mod file;
mod text;

use std::fmt;
use std::io;
use std::path::PathBuf;

use kugetsu_core::{Attempt, IssueRef, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use attempt::AttemptContext;

/// The name of the JSON form.
pub const FORMAT: &str = "kugetsu.context/1";

/// How many messages of an issue's conversation are remembered.
pub const MESSAGES: usize = 20;

/// What is remembered of an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IssueContext {
    /// Which issue.
    pub issue: IssueRef,
    /// The branch in its worktree, once that was there.
    pub branch: Option<String>,
    /// Where the worktree is.
    pub worktree: Option<String>,
    /// The agent's id of the session.
    pub session: Option<String>,
    /// The task of the newest attempt.
    pub task: TaskId,
    /// That attempt's number.
    pub attempt: Attempt,
    /// When that attempt began.
    pub began: Timestamp,
    /// When this was written.
    pub updated: Timestamp,
    /// What the user said last. Of a long message the middle is dropped.
    pub message: String,
    /// How the newest attempt ended; `None` while it goes on, or if its process was killed.
    pub outcome: Option<String>,
    /// What user and agent said last, the oldest first: 20 messages at most.
    pub messages: Vec<Said>,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Said {
    /// When it was complete.
    pub at: Timestamp,
    /// Who said it.
    pub who: Speaker,
    /// What was said. Of a long message the middle is dropped, with a mark in its place.
    pub text: String,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Speaker {
    /// Whoever gives an agent work.
    User,
    /// The agent.
    Agent,
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Agent => "agent",
        })
    }
}

/// A directory of contexts: `<stem>.json`, by the issue's [stem](IssueRef::stem).
///
/// # Promises
///
/// * The line keeps them up to date by itself: when an attempt begins, whenever a message is complete
///   (though not more often than once a second), and when the attempt ends.
/// * A file is replaced as a whole and is on the disk then: a crash leaves the old one or the new one.
/// * Files are open to their owner only. No link is followed below the directory.
/// * A file holds no known secret. A message has at most 8 KiB in it, all together at most 64 KiB.
/// * Failing to write one never fails an attempt; the attempt's log says so once.
#[derive(Debug, Clone)]
pub struct Contexts {
    directory: PathBuf,
}

impl Contexts {
    /// The contexts in this directory, which is made when it is needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// What is remembered of the issue. An error if that cannot be read, or was written by a newer
    /// kugetsu. Blocks.
    pub fn find(&self, issue: &IssueRef) -> io::Result<Option<IssueContext>> {
        match file::read(&self.directory, &issue.stem())? {
            Some(found) if found.issue != *issue => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it is the context of {}", found.issue),
            )),
            found => Ok(found),
        }
    }

    /// The issues of which something is remembered. What cannot be read is left out. Blocks.
    pub fn issues(&self) -> io::Result<Vec<IssueRef>> {
        let stems = file::stems(&self.directory)?;
        let of = |stem: &String| file::read(&self.directory, stem).ok().flatten();
        let ours = |stem: String| of(&stem).map(|c| c.issue).filter(|i| i.stem() == stem);
        let mut found: Vec<IssueRef> = stems.into_iter().filter_map(ours).collect();
        found.sort();
        Ok(found)
    }

    /// Forgets the issue, and says whether there was anything to forget. Whoever calls holds the
    /// issue's slot, so that nobody writes it meanwhile. Blocks.
    pub fn remove(&self, issue: &IssueRef) -> io::Result<bool> {
        file::remove(&self.directory, &issue.stem())
    }
}
