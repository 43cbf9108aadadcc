//! How far each reader of the event log has come.

use kugetsu_core::{Cursor, StoreError};
use rusqlite::{OptionalExtension, params};

use super::SqliteStore;
use super::events::place;
use super::tasks::number;

impl SqliteStore {
    /// How far the reader of this name has come; the log's beginning if it has never said.
    pub async fn cursor(&self, name: &str) -> Result<Cursor, StoreError> {
        let key = name.to_owned();
        self.database
            .read(move |connection| {
                let at: Option<i64> = connection
                    .prepare_cached("SELECT at FROM cursor WHERE name = ?1")?
                    .query_row([key], |row| row.get(0))
                    .optional()?;
                Ok(at.map_or(Cursor(0), place))
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("read cursor {name}")))
    }

    /// Remembers how far the reader of this name has come.
    pub async fn set_cursor(&self, name: &str, at: Cursor) -> Result<(), StoreError> {
        let key = name.to_owned();
        self.database
            .write(move |transaction| {
                transaction
                    .prepare_cached(
                        "INSERT INTO cursor (name, at) VALUES (?1, ?2)
                         ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                    )?
                    .execute(params![key, number(at.0)])?;
                Ok(())
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("write cursor {name}")))
    }
}
