//! What can go wrong below the traits, and what it is called above them.

use std::io;
use std::path::Path;

use kugetsu_core::{NotifyError, Retry, SessionError, SessionKind, StoreError, TaskId};
use rusqlite::ErrorCode;
use rusqlite::ffi;

use super::care::FileFault;

/// A fault, before it is known which trait it is told through.
#[derive(Debug)]
pub(super) enum Fault {
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
    Sqlite(rusqlite::Error),
    /// The thread that did the work ended without an answer.
    Lost(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const MEND: &str = "restore the file from a backup, or move it and the files beside it that start \
                    with its name away to begin with an empty store";

impl Fault {
    /// A document that could not be read.
    pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> Self {
        Self::Damaged(format!("{what} cannot be read ({error})"))
    }

    /// Whether the file's state on the disk is unknown from now on, so that nothing may be told to
    /// be durable any more.
    pub(super) fn is_failed_sync(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) = self else { return false };
        matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    }

    /// Whether the file, or what it is in, cannot be written.
    pub(super) fn is_read_only(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
            ),
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }

    /// Whether a row broke a `UNIQUE` rule.
    pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
        error.sqlite_error().is_some_and(|error| {
            matches!(
                error.extended_code,
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            )
        })
    }

    pub(super) fn into_store_error(self, store: &Path, operation: &str) -> StoreError {
        let name = store.display().to_string();
        match self {
            Self::Newer { found, known } => StoreError::NewerFormat { store: name, found, known },
            Self::Damaged(detail) => {
                StoreError::Damaged { store: name, detail: format!("{detail}; {MEND}") }
            }
            Self::Sqlite(error) if is_damage(&error) => {
                StoreError::Damaged { store: name, detail: format!("{error}; {MEND}") }
            }
            fault => StoreError::Backend {
                who: name,
                operation: operation.to_owned(),
                retry: fault.retry(),
                source: fault.words(),
            },
        }
    }

    pub(super) fn into_file_fault(self) -> FileFault {
        match self {
            Self::Newer { found, known } => FileFault::Newer { found, known },
            Self::Damaged(detail) => FileFault::Damaged { detail },
            Self::Sqlite(error) if is_damage(&error) => {
                FileFault::Damaged { detail: error.to_string() }
            }
            fault => FileFault::Closed { detail: fault.words().to_string() },
        }
    }

    pub(super) fn into_commit_error(self, store: &Path, task: TaskId) -> StoreError {
        match self {
            Self::Conflict => StoreError::Conflict { task },
            fault => fault.into_store_error(store, &format!("commit task {task}")),
        }
    }

    pub(super) fn into_session_error(self, store: &Path, operation: &str) -> SessionError {
        let retry = self.retry();
        let source = match self.into_store_error(store, operation) {
            StoreError::Backend { source, .. } => source,
            other => other.into(),
        };
        let who = store.display().to_string();
        SessionError::Backend { who, operation: operation.to_owned(), retry, source }
    }

    pub(super) fn into_put_error(self, store: &Path, kind: &SessionKind) -> SessionError {
        match self {
            Self::Conflict => SessionError::Conflict { kind: kind.clone() },
            fault => fault.into_session_error(store, &format!("put the session {kind}")),
        }
    }

    pub(super) fn into_notify_error(self, store: &Path, operation: &str) -> NotifyError {
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
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
                    Retry::Later
                }
                _ => Retry::Never,
            },
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

    fn words(self) -> kugetsu_core::error::Source {
        match self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    format!("another process has been writing for 10 s ({error})").into()
                }
                Some(ErrorCode::DiskFull) => {
                    format!("the disk is full; free some space and try again ({error})").into()
                }
                Some(ErrorCode::ReadOnly) => {
                    format!("the file or its file system is read-only ({error})").into()
                }
                Some(ErrorCode::CannotOpen) => format!(
                    "the file or its directory cannot be opened; they have to belong to the user \
                     who runs this ({error})"
                )
                .into(),
                _ => Box::new(error),
            },
            Self::Io(error) => Box::new(error),
            Self::Refused(why) | Self::Damaged(why) | Self::Lost(why) => why.into(),
            Self::Conflict => "it was changed by somebody else".into(),
            Self::Newer { .. } => "it has a newer format".into(),
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
