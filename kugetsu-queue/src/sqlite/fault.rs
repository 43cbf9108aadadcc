//! What `SQLite`'s errors mean.

use std::io;

use rusqlite::{Error, ErrorCode, ffi};

use kugetsu_core::Retry;
use kugetsu_core::error::Source;

use crate::fault::{DatabaseFault, Fault, Meaning};

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (means, retry) = (meaning(&error), retry(&error));
        Self::Database(DatabaseFault { means, retry, source: words(error) })
    }
}

impl Fault {
    /// Whether the file's state on the disk is unknown from now on, so that nothing may be told to
    /// be durable any more.
    pub(super) fn is_failed_sync(&self) -> bool {
        matches!(self, Self::Database(DatabaseFault { means: Meaning::Unsynced, .. }))
    }

    /// Whether the file, or what it is in, cannot be written.
    pub(super) fn is_read_only(&self) -> bool {
        match self {
            Self::Database(fault) => fault.means == Meaning::ReadOnly,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }
}

/// Whether a row broke a `UNIQUE` rule.
pub(super) fn is_duplicate(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        matches!(
            error.extended_code,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        )
    })
}

fn meaning(error: &Error) -> Meaning {
    if let Error::SqliteFailure(error, _) = error
        && matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    {
        return Meaning::Unsynced;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Meaning::Damage,
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Meaning::ReadOnly
        }
        _ => Meaning::Other,
    }
}

fn retry(error: &Error) -> Retry {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull) => {
            Retry::Later
        }
        _ => Retry::Never,
    }
}

fn words(error: Error) -> Source {
    match error.sqlite_error_code() {
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
            "the file or its directory cannot be opened; they have to belong to the user who runs \
             this ({error})"
        )
        .into(),
        _ => Box::new(error),
    }
}
