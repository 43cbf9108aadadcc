//! What looking after a store tells, whichever store it is.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use kugetsu_core::StoreError;
use serde::Serialize;

use crate::fault::{DatabaseFault, Fault, Meaning};

/// What is the matter with the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileFault {
    /// It was made before, and is not there.
    Gone,
    /// It has a newer format than this kugetsu knows.
    Newer {
        /// Its format.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// It is damaged, or was never a store.
    Damaged {
        /// What was found.
        detail: String,
    },
    /// It cannot be opened or read.
    Closed {
        /// Why.
        detail: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Where the damaged file is kept, if there was one.
    pub kept: Option<PathBuf>,
    /// How many tasks are in the new store.
    pub tasks: u64,
    /// How many events.
    pub events: u64,
    /// How many sessions.
    pub sessions: u64,
    /// How many notices.
    pub notices: u64,
    /// What could not be read, in words; empty if nothing is known to be missing.
    pub lost: Vec<String>,
}

/// A store that can tell how many of its records make no sense, since its lists leave them out.
#[async_trait]
pub trait Records: fmt::Debug + Send + Sync + 'static {
    /// How many tasks cannot be read. It reads all there are.
    async fn unreadable_tasks(&self) -> Result<u64, StoreError>;
}

impl Fault {
    pub(crate) fn into_file_fault(self) -> FileFault {
        match self {
            Self::Newer { found, known } => FileFault::Newer { found, known },
            Self::Damaged(detail) => FileFault::Damaged { detail },
            Self::Database(DatabaseFault { means: Meaning::Damage, source, .. }) => {
                FileFault::Damaged { detail: source.to_string() }
            }
            fault => FileFault::Closed { detail: fault.words().to_string() },
        }
    }
}
