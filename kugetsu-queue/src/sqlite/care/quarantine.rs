//! Records that cannot be read, moved out of the way with all their bytes.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kugetsu_core::{StoreError, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Row, TransactionBehavior};
use serde_json::{Map, Value, json};

use super::{Kind, Unreadable, bytes, unreadable};
use crate::sqlite::fault::Fault;
use crate::sqlite::file::{self, Use};
use crate::sqlite::tasks;

/// What was moved, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The records.
    pub records: Vec<Unreadable>,
    /// The file that has them now: a JSON object a line, with every column as it was.
    pub to: PathBuf,
}

/// Moves every record that cannot be read into a file beside the store, to which it is appended. A
/// crash in between leaves a record in both places, never in none.
pub fn set_aside(path: &Path, at: Timestamp) -> Result<Moved, StoreError> {
    let moved = || {
        let mut connection = file::connect(path, Use::Writing)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        file::format(&transaction)?;
        let records = unreadable(&transaction)?;
        let to = place(path);
        let mut to_free = Vec::new();
        for record in &records {
            let (table, name) = (record.kind.table(), record.kind.name());
            let which = format!("FROM {table} WHERE CAST({name} AS BLOB) = CAST(?1 AS BLOB)");
            let mut lines = Vec::new();
            {
                let mut query = transaction.prepare(&format!("SELECT * {which}"))?;
                let mut rows = query.query([&record.name])?;
                while let Some(row) = rows.next()? {
                    lines.push(line(record.kind, row, &record.why, at)?);
                    if record.kind == Kind::Task {
                        to_free.push(row.get::<_, String>("lane")?);
                    }
                }
            }
            keep(&to, &lines)?;
            transaction.execute(&format!("DELETE {which}"), [&record.name])?;
        }
        for lane in to_free {
            tasks::set_head(&transaction, &lane)?;
        }
        transaction.commit()?;
        Ok(Moved { records, to })
    };
    moved().map_err(|fault: Fault| fault.into_store_error(path, "move unreadable records away"))
}

/// Where such records are kept.
pub(super) fn place(path: &Path) -> PathBuf {
    file::beside(path, ".unreadable.jsonl")
}

/// The row as a line that holds all that is in it.
pub(super) fn line(kind: Kind, row: &Row<'_>, why: &str, at: Timestamp) -> Result<String, Fault> {
    let statement: &rusqlite::Statement<'_> = row.as_ref();
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut columns = Map::new();
    for (index, name) in names.into_iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => json!(number),
            ValueRef::Real(number) => json!(number),
            value @ (ValueRef::Text(_) | ValueRef::Blob(_)) => {
                match String::from_utf8(bytes(value)) {
                    Ok(text) => json!(text),
                    Err(error) => json!({ "hex": hex(error.as_bytes()) }),
                }
            }
        };
        columns.insert(name, value);
    }
    let line = json!({
        "record": kind,
        "moved": at.as_millis(),
        "why": why,
        "columns": columns,
    });
    Ok(format!("{line}\n"))
}

/// Appends the lines, which are on the disk when this returns.
pub(super) fn keep(to: &Path, lines: &[String]) -> Result<(), Fault> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(to)?;
    file.write_all(lines.concat().as_bytes())?;
    file.sync_all()?;
    File::open(file::directory_of(to))?.sync_all()?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
