//! The file itself: made, recognised, brought to the newest format, connected to.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use crate::fault::Fault;
use crate::slots::KernelLock;

/// How long a call waits for another process's write.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// `kuge`: says in the file's header whose it is.
const APPLICATION: i32 = 0x6b75_6765;

/// Every format so far, the oldest first. One that was released is never changed.
static FORMATS: [M<'static>; FORMAT as usize] = [
    M::up(include_str!("migrations/0001.sql")),
    M::up(include_str!("migrations/0002.sql")),
    M::up(include_str!("migrations/0003.sql")),
];

/// The newest format, which is the one that is written.
pub(super) const FORMAT: u32 = 3;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Reading,
    Writing,
}

/// Connects to the store at `path`, which is made or brought to the newest format first.
///
/// Where nothing can be written and nobody does, it can still be read. One that was made before and
/// is gone is no empty store.
pub(super) fn connect(path: &Path, usage: Use) -> Result<Connection, Fault> {
    if !path.try_exists()? {
        if was_made(path) {
            return Err(Fault::Damaged("the file is gone, though it was made before".into()));
        }
        make(path)?;
    }
    let connected = open(path).and_then(|connection| Ok((recognise(&connection)?, connection)));
    let (format, mut connection) = match connected {
        Err(fault) if fault.is_read_only() && has_no_log(path) => return frozen(path),
        connected => connected?,
    };
    if format < FORMAT {
        upgrade(path, &mut connection)?;
    }
    if !was_made(path) {
        // Only whoever can write could lose it.
        let _ = mark(path);
    }
    if usage == Use::Reading {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

/// The format that the file has; a fault if it is newer than [`FORMAT`].
pub(super) fn format(connection: &Connection) -> Result<u32, Fault> {
    let found: i64 =
        connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    let found = u32::try_from(found)
        .map_err(|_| Fault::Damaged(format!("it names {found} as its format")))?;
    if found > FORMAT {
        return Err(Fault::Newer { found, known: FORMAT });
    }
    Ok(found)
}

/// The store as it lies there, for reading: nobody changes it while it is read.
pub(super) fn frozen(path: &Path) -> Result<Connection, Fault> {
    use std::fmt::Write as _;
    let absolute = std::path::absolute(path)?;
    let mut uri = String::from("file:");
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = prepared(Connection::open_with_flags(uri, flags)?)?;
    recognise(&connection)?;
    Ok(connection)
}

/// Whether everything that was written is in the file itself, and nobody has it open.
fn has_no_log(path: &Path) -> bool {
    !fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// Whether there was a store at `path` once: its lock file says so.
pub(super) fn was_made(path: &Path) -> bool {
    fs::metadata(lock(path)).is_ok_and(|lock| lock.len() > 0)
}

fn mark(path: &Path) -> io::Result<()> {
    // For reading too, so that a pipe that has its name keeps nobody waiting.
    let mut lock =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(lock(path))?;
    lock.write_all(b"A store was made here.\n")?;
    lock.sync_all()
}

/// Makes an empty store, unless there is one.
pub(super) fn make(path: &Path) -> Result<(), Fault> {
    make_with(path, |_| Ok(())).map(drop)
}

/// Makes a store under another name, fills it and renames it, so that no half-made one is ever
/// seen. Says whether it was made: one that is there stays.
pub(super) fn make_with(
    path: &Path,
    fill: impl FnOnce(&Transaction<'_>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    let directory = directory_of(path);
    if !directory.try_exists()? {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let _gate = gate(path)?;
    if path.try_exists()? {
        return Ok(false);
    }
    let unfinished = beside(path, ".new");
    for leftover in [unfinished.clone(), beside(&unfinished, "-wal"), beside(&unfinished, "-shm")] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let mut connection = open(&unfinished)?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    migrate(&mut connection)?;
    let transaction = connection.transaction()?;
    fill(&transaction)?;
    transaction.commit()?;
    // Remembered by the file. Whoever opens it never has to change it while others read.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()?;
    mark(path)?;
    Ok(true)
}

/// Gives the store's files other names: whoever has it open is told that it is not there any more.
pub(super) fn rename(path: &Path, to: &Path) -> Result<(), Fault> {
    // What is in the log is part of the store.
    for suffix in ["-wal", "", "-shm"] {
        match fs::rename(beside(path, suffix), beside(to, suffix)) {
            Err(error) if suffix.is_empty() || error.kind() != io::ErrorKind::NotFound => {
                return Err(error.into());
            }
            _ => {}
        }
    }
    File::open(directory_of(path))?.sync_all()?;
    Ok(())
}

/// Which file is at this path.
pub(super) fn identity(path: &Path) -> Result<(u64, u64), Fault> {
    match fs::metadata(path) {
        Ok(about) => Ok((about.dev(), about.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let gone = "it is not there any more: it was moved away, or deleted";
            Err(io::Error::new(io::ErrorKind::NotFound, gone).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Brings the file to the newest format, one process at a time: a migration decides what to do
/// before its transaction begins.
fn upgrade(path: &Path, connection: &mut Connection) -> Result<(), Fault> {
    let _gate = gate(path)?;
    if format(connection)? < FORMAT {
        migrate(connection)?;
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    Migrations::from_slice(&FORMATS).to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
        other => Fault::Damaged(format!("it cannot be brought to format {FORMAT} ({other})")),
    })
}

pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    // Without the flag that lets SQLite make the file: it would be made with the umask's mode.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepared(Connection::open_with_flags(path, flags)?)
}

fn prepared(connection: Connection) -> Result<Connection, Fault> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The file's format, if it is a store of ours at all.
pub(super) fn recognise(connection: &Connection) -> Result<u32, Fault> {
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found = format(connection)?;
    if application != APPLICATION || found == 0 {
        return Err(Fault::Damaged("it is empty, or not a store of kugetsu".into()));
    }
    Ok(found)
}

/// The file whose kernel lock is held by whoever makes or converts the store, or writes to it.
pub(super) fn lock(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// The right to make the file or to change its format, for one process at a time.
pub(super) fn gate(path: &Path) -> Result<KernelLock, Fault> {
    let mut lock = KernelLock::open(&lock(path))?;
    let start = Instant::now();
    while !lock.try_take()? {
        if start.elapsed() > PATIENCE {
            let error = io::Error::new(
                io::ErrorKind::TimedOut,
                "another process has been making or converting the file for 10 s",
            );
            return Err(error.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(lock)
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_leads_to_the_next() {
        assert!(Migrations::from_slice(&FORMATS).validate().is_ok());
    }
}
