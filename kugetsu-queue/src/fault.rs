//! What can go wrong below the traits, and what it is called above them.

use std::io;
use std::path::Path;

use kugetsu_core::error::Source;
use kugetsu_core::{NotifyError, Retry, SessionError, SessionKind, StoreError, TaskId};

/// A fault, before it is known which trait it is told through.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The record is not as expected.
    Conflict,
    /// The file has a format that this version does not know.
    Newer {
        found: u32,
        known: u32,
    },
    /// What is stored makes no sense.
    Damaged(String),
    /// The call itself cannot be right.
    Refused(String),
    Io(io::Error),
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "only SQLite tells one"))]
    Database(DatabaseFault),
    /// The thread that did the work ended without an answer.
    Lost(String),
}

/// What a database has told.
#[derive(Debug)]
pub(crate) struct DatabaseFault {
    /// What that means for the file.
    pub(crate) means: Meaning,
    pub(crate) retry: Retry,
    /// In words for people.
    pub(crate) source: Source,
}

/// What a fault of a database means for its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "only SQLite tells one"))]
pub(crate) enum Meaning {
    /// What is stored makes no sense.
    Damage,
    /// Its state on the disk is unknown.
    Unsynced,
    /// It, or what it is in, cannot be written.
    ReadOnly,
    /// Nothing.
    Other,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const MEND: &str = "restore the file from a backup, or move it and the files beside it that start \
                    with its name away to begin with an empty store";

impl Fault {
    /// The same once more, for somebody else whom it concerns.
    #[cfg(feature = "sqlite")]
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Conflict => Self::Conflict,
            Self::Newer { found, known } => Self::Newer { found: *found, known: *known },
            Self::Damaged(why) => Self::Damaged(why.clone()),
            Self::Refused(why) => Self::Refused(why.clone()),
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
            Self::Database(DatabaseFault { means, retry, source }) => {
                Self::Database(DatabaseFault {
                    means: *means,
                    retry: *retry,
                    source: source.to_string().into(),
                })
            }
            Self::Lost(why) => Self::Lost(why.clone()),
        }
    }

    /// A document that could not be read.
    pub(crate) fn unreadable(what: &str, error: &serde_json::Error) -> Self {
        Self::Damaged(format!("{what} cannot be read ({error})"))
    }

    /// Refuses where there is something that would be overwritten.
    pub(crate) fn must_be_free(path: &Path) -> Result<(), Self> {
        if path.try_exists()? {
            return Err(Self::Refused(format!("{} is there already", path.display())));
        }
        Ok(())
    }

    pub(crate) fn into_store_error(self, store: &Path, operation: &str) -> StoreError {
        let name = store.display().to_string();
        match self {
            Self::Newer { found, known } => StoreError::NewerFormat { store: name, found, known },
            Self::Damaged(detail) => {
                StoreError::Damaged { store: name, detail: format!("{detail}; {MEND}") }
            }
            Self::Database(DatabaseFault { means: Meaning::Damage, source, .. }) => {
                StoreError::Damaged { store: name, detail: format!("{source}; {MEND}") }
            }
            fault => StoreError::Backend {
                who: name,
                operation: operation.to_owned(),
                retry: fault.retry(),
                source: fault.words(),
            },
        }
    }

    pub(crate) fn into_commit_error(self, store: &Path, task: TaskId) -> StoreError {
        match self {
            Self::Conflict => StoreError::Conflict { task },
            fault => fault.into_store_error(store, &format!("commit task {task}")),
        }
    }

    pub(crate) fn into_session_error(self, store: &Path, operation: &str) -> SessionError {
        let retry = self.retry();
        let source = match self.into_store_error(store, operation) {
            StoreError::Backend { source, .. } => source,
            other => other.into(),
        };
        let who = store.display().to_string();
        SessionError::Backend { who, operation: operation.to_owned(), retry, source }
    }

    pub(crate) fn into_put_error(self, store: &Path, kind: &SessionKind) -> SessionError {
        match self {
            Self::Conflict => SessionError::Conflict { kind: kind.clone() },
            fault => fault.into_session_error(store, &format!("put the session {kind}")),
        }
    }

    pub(crate) fn into_notify_error(self, store: &Path, operation: &str) -> NotifyError {
        let retry = self.retry();
        let source = match self.into_store_error(store, operation) {
            StoreError::Backend { source, .. } => source,
            other => other.into(),
        };
        let who = store.display().to_string();
        NotifyError::Backend { who, operation: operation.to_owned(), retry, source }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Conflict => Retry::Later,
            Self::Database(fault) => fault.retry,
            Self::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::TimedOut => Retry::Later,
                _ => Retry::Never,
            },
            Self::Newer { .. } | Self::Damaged(_) | Self::Refused(_) | Self::Lost(_) => {
                Retry::Never
            }
        }
    }

    pub(crate) fn words(self) -> Source {
        match self {
            Self::Database(fault) => fault.source,
            Self::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    format!("the disk is full; free some space and try again ({error})").into()
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!("the file or its file system is read-only ({error})").into()
                }
                _ => Box::new(error),
            },
            Self::Refused(why) | Self::Damaged(why) | Self::Lost(why) => why.into(),
            Self::Conflict => "it was changed by somebody else".into(),
            Self::Newer { .. } => "it has a newer format".into(),
        }
    }
}
