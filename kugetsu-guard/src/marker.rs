//! The mark in the environment by which a process tree of ours is found again.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read as _};

/// The environment variable that every process of a tree carries.
pub(crate) const VARIABLE: &str = "KUGETSU_SERVER";

/// Names one process tree that this crate started, for ever and on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Marker {
    id: String,
    entry: Vec<u8>,
}

/// A text that is no marker.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no marker: 32 lower-case hexadecimal digits are")]
pub(crate) struct InvalidMarker(String);

impl Marker {
    /// A marker that no other tree has.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self::of(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })))
    }

    /// The marker's own text; it is safe as a file name.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The variable and its value as they stand in an environment: `KUGETSU_SERVER=<id>`.
    pub(crate) fn entry(&self) -> &[u8] {
        &self.entry
    }

    /// The variable and its value for a command.
    pub(crate) fn variable(&self) -> (OsString, OsString) {
        (OsStr::new(VARIABLE).to_owned(), OsString::from(&self.id))
    }

    fn of(id: String) -> Self {
        let entry = format!("{VARIABLE}={id}").into_bytes();
        Self { id, entry }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl TryFrom<String> for Marker {
    type Error = InvalidMarker;

    fn try_from(id: String) -> Result<Self, InvalidMarker> {
        let is_one = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_one { Ok(Self::of(id)) } else { Err(InvalidMarker(id)) }
    }
}

impl From<Marker> for String {
    fn from(marker: Marker) -> Self {
        marker.id
    }
}
