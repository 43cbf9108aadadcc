//! What a record of the journal says.
//!
//! A record is one change that is made as a whole. Within a format records and fields are neither
//! added nor changed: whoever does not know one could not tell what is stored.

use kugetsu_core::{Expected, Revision, SessionId, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::fault::Fault;

/// One change. The documents in it are kept as they were written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record<'a> {
    /// A task was changed, and this is what that told.
    #[serde(borrow)]
    Commit(Commit<'a>),
    /// A task was forgotten.
    Remove(Remove),
    /// Events were told.
    #[serde(borrow)]
    Append(Append<'a>),
    /// A session was changed.
    #[serde(borrow)]
    Session(Put<'a>),
    /// A session was forgotten.
    Forget(Forget),
    /// Something is remembered by name, or was forgotten.
    Memo(Memo),
    /// A notice was brought.
    #[serde(borrow)]
    Notice(Brought<'a>),
    /// Notices were read.
    Read(Read),
    /// A task as it is, whatever it was before: how a rewritten journal begins.
    #[serde(borrow)]
    Task(Is<'a>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit<'a> {
    /// The revision before, 0 if there was none.
    pub(super) was: u64,
    #[serde(borrow)]
    pub(super) task: &'a RawValue,
    #[serde(borrow)]
    pub(super) events: Vec<&'a RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    pub(super) was: u64,
    pub(super) task: TaskId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Append<'a> {
    #[serde(borrow)]
    pub(super) events: Vec<&'a RawValue>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Put<'a> {
    #[serde(borrow)]
    pub(super) session: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    pub(super) session: SessionId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memo {
    pub(super) name: String,
    pub(super) text: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Brought<'a> {
    pub(super) unread: bool,
    #[serde(borrow)]
    pub(super) notice: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Is<'a> {
    #[serde(borrow)]
    pub(super) task: &'a RawValue,
}

impl Record<'_> {
    /// As it stands in its line.
    pub(super) fn text(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|error| Fault::Refused(error.to_string()))
    }
}

/// The value as the document that is stored.
pub(super) fn document(value: &impl Serialize) -> Result<Box<RawValue>, Fault> {
    serde_json::value::to_raw_value(value).map_err(|error| Fault::Refused(error.to_string()))
}

/// A document that was written elsewhere, on one line: outside of strings a line break means
/// nothing, and inside there is none.
pub(super) fn on_one_line(text: &str) -> Result<Box<RawValue>, Fault> {
    RawValue::from_string(text.replace(['\n', '\r'], " "))
        .map_err(|error| Fault::unreadable("a document", &error))
}

/// The revision before, as a number.
pub(super) fn was(expected: Expected) -> u64 {
    match expected {
        Expected::Absent => 0,
        Expected::At(Revision(revision)) => revision,
    }
}
