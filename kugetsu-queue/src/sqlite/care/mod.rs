//! Looking after the file: what is the matter with it, and mending that without losing anything.
//!
//! Everything here blocks the thread, and works on a file that [`SqliteStore`]
//! refuses to open.

mod quarantine;
mod salvage;

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use kugetsu_core::{Event, Notice, Session, Task};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use serde::Serialize;

pub use quarantine::{Moved, set_aside};
pub use salvage::salvage;

pub use crate::care::{FileFault, Records, Salvaged};

use super::SqliteStore;
use super::file::{self, Use};
use crate::fault::Fault;
use kugetsu_core::StoreError;

/// How many of its own complaints `SQLite` is asked for.
const COMPLAINTS: u32 = 5;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A task.
    Task,
    /// An event.
    Event,
    /// A session.
    Session,
    /// A notice in the inbox.
    Notice,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Task, Self::Event, Self::Session, Self::Notice];

    fn table(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Event => "event",
            Self::Session => "session",
            Self::Notice => "notice",
        }
    }

    /// The column that names a record.
    fn name(self) -> &'static str {
        match self {
            Self::Task | Self::Session => "id",
            Self::Event => "cursor",
            Self::Notice => "key",
        }
    }

    /// Why the document cannot be read; `None` if it can.
    fn trouble(self, document: &[u8]) -> Option<String> {
        let read = match self {
            Self::Task => serde_json::from_slice::<Task>(document).err(),
            Self::Event => serde_json::from_slice::<Event>(document).err(),
            Self::Session => serde_json::from_slice::<Session>(document).err(),
            Self::Notice => serde_json::from_slice::<Notice>(document).err(),
        };
        read.map(|error| error.to_string())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table())
    }
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unreadable {
    /// Which kind of record.
    pub kind: Kind,
    /// Its name: the id of a task or session, an event's cursor, a notice's key.
    pub name: String,
    /// Why it cannot be read.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Examined {
    /// What is the matter with the file as a whole.
    pub fault: Option<FileFault>,
    /// The records that cannot be read, where the file can be.
    pub unreadable: Vec<Unreadable>,
    /// Lanes that have open tasks of which none, or not the first, may run.
    pub stuck_lanes: Vec<String>,
}

/// Looks at the store at `path` and changes nothing. A store that was never made is in order.
pub fn examine(path: &Path) -> Examined {
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) if file::was_made(path) => return Examined::of(FileFault::Gone),
        Ok(false) => return Examined::default(),
        Err(error) => return Examined::of(FileFault::Closed { detail: error.to_string() }),
    }
    let looked = look(path).and_then(|connection| {
        let complaints = complaints(&connection)?;
        if !complaints.is_empty() {
            return Err(Fault::Damaged(complaints.join("; ")));
        }
        Ok(Examined {
            fault: None,
            unreadable: unreadable(&connection)?,
            stuck_lanes: stuck_lanes(&connection)?,
        })
    });
    looked.unwrap_or_else(|fault| Examined::of(fault.into_file_fault()))
}

impl Examined {
    fn of(fault: FileFault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

/// Gives each lane its first open task as the one that may run, as every commit does.
pub fn free_lanes(path: &Path) -> Result<(), StoreError> {
    let free = || {
        let mut connection = file::connect(path, Use::Writing)?;
        let transaction = connection.transaction()?;
        for lane in stuck_lanes(&transaction)? {
            super::tasks::set_head(&transaction, &lane)?;
        }
        transaction.commit()?;
        Ok(())
    };
    free().map_err(|fault: Fault| fault.into_store_error(path, "free the lanes"))
}

#[async_trait]
impl Records for SqliteStore {
    async fn unreadable_tasks(&self) -> Result<u64, StoreError> {
        let read = self.database.read(|connection| {
            let mut count = 0;
            each(connection, Kind::Task, |_, _| count += 1)?;
            Ok(count)
        });
        read.await.map_err(|fault| fault.into_store_error(self.path(), "look for unreadable tasks"))
    }
}

/// Opens it as it is: nothing is made, converted or cleaned up.
fn look(path: &Path) -> Result<Connection, Fault> {
    let opened = file::open(path).and_then(|connection| {
        file::recognise(&connection)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    });
    match opened {
        Err(fault) if fault.is_read_only() => file::frozen(path),
        opened => opened,
    }
}

fn complaints(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut query = connection.prepare(&format!("PRAGMA integrity_check({COMPLAINTS})"))?;
    let said: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

fn unreadable(connection: &Connection) -> Result<Vec<Unreadable>, Fault> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        each(connection, kind, |name, why| {
            found.push(Unreadable { kind, name, why });
        })?;
    }
    Ok(found)
}

/// Each record of this kind that cannot be read, and why.
fn each(
    connection: &Connection,
    kind: Kind,
    mut found: impl FnMut(String, String),
) -> Result<(), Fault> {
    let (table, name) = (kind.table(), kind.name());
    let mut query = connection.prepare(&format!("SELECT {name}, document FROM {table}"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let document = bytes(row.get_ref(1)?);
        if let Some(why) = kind.trouble(&document) {
            found(String::from_utf8_lossy(&bytes(row.get_ref(0)?)).into_owned(), why);
        }
    }
    Ok(())
}

/// What is stored, as bytes.
fn bytes(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Null => Vec::new(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => number.to_string().into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    }
}

fn stuck_lanes(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut query = connection.prepare(
        "SELECT lane FROM task WHERE open = 1 GROUP BY lane
         HAVING min(seq) IS NOT min(CASE WHEN head = 1 THEN seq END) OR sum(head) <> 1",
    )?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// A name beside the store's that is not taken yet.
fn unused(path: &Path, suffix: &str) -> PathBuf {
    let mut name = file::beside(path, suffix);
    let mut number = 2;
    while name.symlink_metadata().is_ok() {
        name = file::beside(path, &format!("{suffix}.{number}"));
        number += 1;
    }
    name
}
