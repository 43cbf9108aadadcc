//! Everything that a store holds, to be taken from one kind of store to another.

use std::fmt;

/// Everything that a store holds, as the documents that it keeps: also what this version does not
/// know in them goes along.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// The tasks, in the order of their first commits.
    pub tasks: Vec<String>,
    /// The events: that of cursor 1 first, and none missing.
    pub events: Vec<String>,
    /// The sessions, by their ids.
    pub sessions: Vec<String>,
    /// The notices in the order in which they came, each with whether nobody has read it.
    pub notices: Vec<(String, bool)>,
    /// The memos, by their names.
    pub memos: Vec<(String, String)>,
}

impl Contents {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this is what `later` was before more happened: its log begins with all of this one's.
    pub fn is_before(&self, later: &Self) -> bool {
        !self.events.is_empty() && later.events.starts_with(&self.events)
    }
}

impl fmt::Debug for Contents {
    /// How much there is, and nothing of it: it would fill screens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("tasks", &self.tasks.len())
            .field("events", &self.events.len())
            .field("sessions", &self.sessions.len())
            .field("notices", &self.notices.len())
            .field("memos", &self.memos.len())
            .finish()
    }
}
