//! Events: what happened, told once, in order.
//!
//! The JSON form is published and versioned. An event of format `kugetsu.event/1`:
//!
//! ```json
//! {
//!   "format": "kugetsu.event/1",
//!   "at": 1767225600000,
//!   "task": "019b76da-a800-7000-8000-000000000001",
//!   "issue": "github.com/acme/widgets#42",
//!   "what": { "type": "claimed", "data": { "worker": "host-1-0", "attempt": 1 } }
//! }
//! ```
//!
//! Within the format fields and types are added, never changed or removed. A reader ignores fields
//! that it does not know; a type that it does not know is kept as [`Happening::Unknown`].

mod unknown;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use unknown::{Json, Unknown};
pub(crate) use unknown::{KnownTypes, foreign};

use crate::agent::AgentEvent;
use crate::error::Failure;
use crate::ids::{AgentSessionId, Attempt, Priority, TaskId, WorkerId};
use crate::issue::IssueRef;
use crate::task::Outcome;
use crate::time::Timestamp;

/// The name of the JSON form.
pub const FORMAT: &str = "kugetsu.event/1";

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Event {
    /// `kugetsu.event/1`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT), with = "String"))]
    format: Format,
    /// When.
    pub at: Timestamp,
    /// To which task.
    pub task: TaskId,
    /// For which issue, if it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<IssueRef>,
    /// What.
    pub what: Happening,
}

impl Event {
    /// Something that happened at this time to this task.
    pub fn new(at: Timestamp, task: TaskId, issue: Option<IssueRef>, what: Happening) -> Self {
        Self { format: Format, at, task, issue, what }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Happening {
    /// A task was asked for.
    Enqueued {
        /// How urgent it is.
        priority: Priority,
    },
    /// A worker took it.
    Claimed {
        /// Who.
        worker: WorkerId,
        /// For which attempt.
        attempt: Attempt,
    },
    /// A slot was taken for it.
    SlotTaken {
        /// Of which class.
        class: String,
        /// Which place.
        index: u32,
    },
    /// The issue's worktree is ready.
    WorktreeReady {
        /// The branch that is checked out.
        branch: String,
        /// Where it is.
        path: String,
        /// Whether it was made just now.
        created: bool,
    },
    /// The agent session is ready and recorded.
    SessionReady {
        /// The agent's id of it.
        session: AgentSessionId,
        /// How it came about, such as `resumed` or `fork+move`.
        how: String,
    },
    /// The agent did something.
    Agent(AgentEvent),
    /// Somebody wants it to end.
    CancelRequested,
    /// An attempt failed, and another one will be made.
    RetryScheduled {
        /// Which attempt failed.
        attempt: Attempt,
        /// When the next may begin.
        due: Timestamp,
        /// Why it failed.
        failure: Failure,
    },
    /// A worker gave it back; that cost no attempt.
    Released {
        /// Which attempt was given up.
        attempt: Attempt,
        /// Why.
        reason: String,
    },
    /// It is over.
    Settled {
        /// How it ended.
        outcome: Outcome,
    },
    /// Its attempt was the last of several that failed in a row, so that the queue rests for a while.
    QueueHeld {
        /// Why, in words.
        reason: String,
        /// Until when nothing is taken from the queue.
        until: Timestamp,
    },
    /// Something that this version of kugetsu does not know, kept as it was.
    #[serde(untagged)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown(#[serde(deserialize_with = "foreign::<Happening, _>")] Unknown),
}

impl KnownTypes for Happening {
    const NAMES: &'static [&'static str] = &[
        "enqueued",
        "claimed",
        "slot_taken",
        "worktree_ready",
        "session_ready",
        "agent",
        "cancel_requested",
        "retry_scheduled",
        "released",
        "settled",
        "queue_held",
    ];
}

/// The name of the JSON form, as a value that has only one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        if name == FORMAT {
            return Ok(Self);
        }
        Err(de::Error::custom(format!("the event has format {name}, and only {FORMAT} is known")))
    }
}
