//! Names of things. Each is its own type, so that one cannot be taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::{Chance, Timestamp};

/// A name that was not well formed.
///
/// Made by whatever reads a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}: {why}")]
#[non_exhaustive]
pub struct InvalidName {
    /// What was to be named.
    pub what: &'static str,
    /// What was given, cut to 80 characters.
    pub value: String,
    /// Why it was refused.
    pub why: &'static str,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, value: &str, why: &'static str) -> Self {
        Self { what, value: value.chars().take(80).collect(), why }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// A `UUIDv7`: ids made later sort later (to the millisecond). Shown and serialised in the
        /// hyphenated form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(
            #[cfg_attr(feature = "schema", schemars(with = "String", extend("format" = "uuid")))] Uuid,
        );

        impl $name {
            /// A new id, made of the time and of chance.
            pub fn new(now: Timestamp, chance: &dyn Chance) -> Self {
                let random = chance.bytes();
                let mut tail = [0u8; 10];
                tail.copy_from_slice(&random[..10]);
                Self(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &tail).into_uuid())
            }

            /// The id as a UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| InvalidName::new($what, text, "it has to be a UUID"))
            }
        }
    };
}

uuid_id!(
    /// One request in the queue.
    TaskId,
    "task id"
);
/// The namespace of the ids that are made of keys: a `UUIDv4` of our own.
const KEYS: Uuid = Uuid::from_u128(0x5a1f_7d0c_93b4_4e0e_8c52_6f3d_10be_77a9);

impl TaskId {
    /// The id of the task that was asked for under this key: always the same one, so that asking
    /// twice is asking once. A `UUIDv5`.
    pub fn of_key(key: &str) -> Self {
        Self(Uuid::new_v5(&KEYS, key.as_bytes()))
    }
}

uuid_id!(
    /// kugetsu's own name of a conversation with an agent.
    SessionId,
    "session id"
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 200 bytes of visible ASCII without spaces, not starting with `-`, so that it can
        /// neither be taken for an option nor hide anything on a terminal.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name, if it is well formed.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                match visible(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(why) => Err(InvalidName::new($what, &text, why)),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

text_id!(
    /// The agent's own id of a conversation (`ses_…` in opencode). Opaque to kugetsu.
    AgentSessionId,
    "agent session id"
);
text_id!(
    /// Which agent: the name of an [`AgentRunner`](crate::AgentRunner), such as `opencode`.
    AgentId,
    "agent id"
);
text_id!(
    /// Who works: unique for each worker of each process, such as `host-4711-0`.
    WorkerId,
    "worker id"
);

pub(crate) fn visible(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > 200 {
        return Err("it is longer than 200 bytes");
    }
    if text.starts_with('-') {
        return Err("it starts with `-`, like an option");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("only visible ASCII characters are allowed");
    }
    Ok(())
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        ///
        /// Exhaustive: it is its number.
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The number of one try at a task, from 1. It is the fencing token: whoever acts for an older
    /// attempt is refused.
    Attempt(u32)
);
number!(
    /// How often a record has been written, from 1. A write names the revision that it has read.
    Revision(u64)
);
number!(
    /// A place in an event log: the number of events up to and including this one.
    /// `Cursor(0)` is before the first.
    Cursor(u64)
);
number!(
    /// The higher, the sooner. Default 0.
    Priority(i16)
);

impl Attempt {
    /// The attempt after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Revision {
    /// The revision after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
