//! One connection that writes and one that reads, used from async code.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
}

/// One connection, used by one at a time.
#[derive(Debug)]
struct Line {
    usage: Use,
    connection: Mutex<Option<Connection>>,
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
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Opens the file.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with(&shared.writer, |_| Ok(()))).await
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
            shared.with(&shared.writer, |connection| {
                let transaction =
                    connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                file::format(&transaction)?;
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
            shared.with(&shared.reader, |connection| {
                file::format(connection)?;
                work(connection)
            })
        })
        .await
    }
}

impl Shared {
    /// Runs `work` on the line's connection. One that panicked over is closed, which rolls back, and
    /// the next call opens another.
    fn with<T>(
        &self,
        line: &Line,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut place = line.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if self.unsynced.load(Ordering::Acquire) {
            return Err(Fault::Lost(
                "the disk refused to keep what was written before; mend it and start again".into(),
            ));
        }
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => file::connect(&self.path, line.usage)?,
        };
        let result = work(&mut connection);
        if result.as_ref().is_err_and(Fault::is_failed_sync) {
            self.unsynced.store(true, Ordering::Release);
        } else {
            *place = Some(connection);
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
