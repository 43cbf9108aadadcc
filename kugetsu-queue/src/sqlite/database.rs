//! One connection that writes and one that reads, used from async code.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::file::{self, Use};
use crate::blocking::blocking;
use crate::fault::Fault;

/// The database, opened when it is first used. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    writer: Line,
    reader: Line,
    /// A failed fsync is never tried again: the kernel may have dropped what it could not write and
    /// would then report success.
    unsynced: AtomicBool,
    opened: AtomicBool,
}

/// One connection, used by one at a time.
#[derive(Debug)]
struct Line {
    usage: Use,
    connection: Mutex<Option<Connected>>,
}

/// A connection, and to which file.
#[derive(Debug)]
struct Connected {
    connection: Connection,
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for Connected {
    fn drop(&mut self) {
        // SQLite removes the log when the last connection closes, by its name: where another store is
        // in this one's place by now, it would be that one's.
        if !file::identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        let line = |usage| Line { usage, connection: Mutex::new(None) };
        Self {
            shared: Arc::new(Shared {
                path,
                writer: line(Use::Writing),
                reader: line(Use::Reading),
                unsynced: AtomicBool::new(false),
                opened: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Opens the file.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with(&shared.writer, |_, _| Ok(()))).await
    }

    /// Runs `work` in a transaction of its own, which is durable when this returns a success and has
    /// never been when it returns a fault.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.with(&shared.writer, |connection, identity| {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                file::format(&transaction)?;
                shared.must_be_in_place(identity)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            })
        })
        .await
    }

    /// Runs `work`, which reads with one statement or does not mind what changes between two.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.with(&shared.reader, |connection, identity| {
                file::format(connection)?;
                shared.must_be_in_place(identity)?;
                work(connection)
            })
        })
        .await
    }
}

impl Shared {
    /// Refuses when the file that is open here was moved away: what is written there would be read by
    /// nobody.
    fn must_be_in_place(&self, identity: (u64, u64)) -> Result<(), Fault> {
        if file::identity(&self.path)? == identity {
            return Ok(());
        }
        Err(Fault::Lost("another file is in its place by now; start again".into()))
    }

    /// Refuses to make a store anew that was there before.
    fn must_not_be_gone(&self) -> Result<(), Fault> {
        if self.opened.load(Ordering::Acquire) {
            file::identity(&self.path)?;
        }
        Ok(())
    }

    /// Runs `work` on the line's connection. One that panicked over is closed, which rolls back, and
    /// the next call opens another.
    fn with<T>(
        &self,
        line: &Line,
        work: impl FnOnce(&mut Connection, (u64, u64)) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut place = line.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.unsynced.load(Ordering::Acquire) {
            return Err(Fault::Lost(
                "the disk refused to keep what was written before; mend it and start again".into(),
            ));
        }
        let mut connected = if let Some(connected) = place.take() {
            connected
        } else {
            self.must_not_be_gone()?;
            let connection = file::connect(&self.path, line.usage)?;
            let (path, identity) = (self.path.clone(), file::identity(&self.path)?);
            Connected { connection, path, identity }
        };
        self.opened.store(true, Ordering::Release);
        let result = work(&mut connected.connection, connected.identity);
        if result.as_ref().is_err_and(Fault::is_failed_sync) {
            self.unsynced.store(true, Ordering::Release);
        } else {
            *place = Some(connected);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_writes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let database = Database::new(home.path().join("kugetsu.db"));
        let insert = "INSERT INTO memo (name, text) VALUES ('a', 1)";
        let panicked: Result<(), Fault> = database
            .write(move |t| {
                t.execute(insert, [])?;
                panic!("half-way")
            })
            .await;
        assert!(matches!(panicked, Err(Fault::Lost(why)) if why.contains("half-way")));
        let changed = database.write(move |t| Ok(t.execute(insert, [])?)).await.unwrap();
        assert_eq!(changed, 1, "the name would be taken if the first transaction had stayed");
    }
}
