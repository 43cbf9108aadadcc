//! What happened.

use async_trait::async_trait;
use kugetsu_core::event::{Json, Unknown};
use kugetsu_core::{Cursor, Event, EventLog, Happening, StoreError, TaskId, Timestamp};
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::fault::Fault;
use super::tasks::{number, text};

/// The type of an event that cannot be read.
const UNREADABLE: &str = "unreadable";

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError> {
        let write = async {
            let documents = documents(events)?;
            self.database
                .write(move |transaction| {
                    insert(transaction, &documents)?;
                    end(transaction)
                })
                .await
        };
        write.await.map_err(|fault| fault.into_store_error(self.path(), "append to the event log"))
    }

    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError> {
        self.database
            .read(move |connection| {
                let mut query = connection.prepare_cached(
                    "SELECT cursor, document FROM event WHERE cursor > ?1 ORDER BY cursor LIMIT ?2",
                )?;
                let mut rows = query.query(params![number(after.0), limit])?;
                let mut events = Vec::new();
                while let Some(row) = rows.next()? {
                    let cursor = place(row.get(0)?);
                    let document = row.get_ref(1)?.as_bytes().unwrap_or_default();
                    events.push((cursor, read(document)));
                }
                Ok(events)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read the event log"))
    }
}

/// The events as they are stored.
pub(super) fn documents(events: &[Event]) -> Result<Vec<String>, Fault> {
    events.iter().map(text).collect()
}

/// Appends the events to the log.
pub(super) fn insert(connection: &Connection, documents: &[String]) -> Result<(), Fault> {
    if documents.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT INTO event (document) VALUES (?1)")?;
    for document in documents {
        insert.execute([document])?;
    }
    Ok(())
}

/// The event, or one of a type that nobody knows which holds what is stored: readers go on after
/// it, and nothing of it is lost.
fn read(document: &[u8]) -> Event {
    serde_json::from_slice(document).unwrap_or_else(|_| {
        let read: serde_json::Value = serde_json::from_slice(document).unwrap_or_default();
        let part = |name: &str| read.get(name).cloned().unwrap_or_default();
        let at = serde_json::from_value(part("at")).unwrap_or(Timestamp::from_millis(0));
        let task =
            serde_json::from_value(part("task")).unwrap_or_else(|_| TaskId::of_key(UNREADABLE));
        let issue = serde_json::from_value(part("issue")).ok();
        let text = String::from_utf8_lossy(document).into_owned();
        let what = Unknown { kind: UNREADABLE.to_owned(), data: Json::Text(text) };
        Event::new(at, task, issue, Happening::Unknown(what))
    })
}

fn end(connection: &Connection) -> Result<Cursor, Fault> {
    let mut query = connection.prepare_cached("SELECT coalesce(max(cursor), 0) FROM event")?;
    Ok(place(query.query_row([], |row| row.get(0))?))
}

/// The place in the log that is stored as this number.
pub(super) fn place(stored: i64) -> Cursor {
    Cursor(u64::try_from(stored).unwrap_or(0))
}
