//! The store in one `SQLite` file: tasks, events, sessions, the inbox of notices, and memos.
//!
//! # Promises
//!
//! * What a call has written is there after a crash of the process, of the machine or of its power
//!   once the call has returned (`WAL`, `synchronous=FULL`). A call that was interrupted has written
//!   all or nothing.
//! * Any number of processes may use the same file at once. A write waits up to 10 s for another
//!   one's, then fails with [`Retry::Later`](kugetsu_core::Retry::Later). Processes that write at once
//!   take turns: the kernel lock of the file's `.lock` is their queue. It decides the order and
//!   nothing else, so that where it cannot be had, or nobody in it moves, writing goes on without it.
//! * What one process writes at once, by clones of a store, is committed together, in the order in
//!   which it was asked for. Each is told after that. What fails takes back only its own, unless the
//!   commit itself fails: then all of it was never written.
//! * A file of a newer format is refused, also when another process brings it to a newer format
//!   while it is open here. One of an older format is brought to this one when it is opened.
//! * A damaged file is an error that says so, and so is one that was made and is gone. Neither is taken
//!   for an empty store.
//! * A record that cannot be read stops nothing but itself: lists leave it out, readers of the log get
//!   it as an event of the unknown type `unreadable`, and [`care`] tells of it.
//! * Where nothing can be written (a read-only file system) and nothing waits to be written, it can be
//!   read.
//! * A future that is dropped half-way may still have written. Whoever must know reads again.
//!
//! Documents are read tolerantly: fields that this version does not know are ignored, and lost when
//! it writes the same task or session again. Events and notices are never written again.

pub mod care;
mod contents;
mod database;
mod desk;
mod events;
mod fault;
mod file;
mod job;
mod memos;
mod notices;
mod sessions;
mod tasks;
mod turn;

use std::path::{Path, PathBuf};

use kugetsu_core::StoreError;

use database::Database;

/// Tasks, events, sessions, notices and memos in one `SQLite` file.
///
/// See the [module](self) for what it promises. Its methods need a tokio runtime.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// Opens the store at `path`, or makes it there: the file with mode 0600, and its directory with
    /// mode 0700 if there is none. A crash while it is made leaves none.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let database = Database::new(path.into());
        database
            .ready()
            .await
            .map_err(|fault| fault.into_store_error(database.path(), "open the store"))?;
        Ok(Self { database })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        self.database.path()
    }
}
