//! What is remembered by name.

use async_trait::async_trait;
use kugetsu_core::{MemoStore, StoreError};
use rusqlite::{OptionalExtension, params};

use super::SqliteStore;

#[async_trait]
impl MemoStore for SqliteStore {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        let key = name.to_owned();
        self.database
            .read(move |connection| {
                let text = connection
                    .prepare_cached("SELECT text FROM memo WHERE name = ?1")?
                    .query_row([key], |row| row.get(0))
                    .optional()?;
                Ok(text)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("read memo {name}")))
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        let (key, text) = (name.to_owned(), text.map(str::to_owned));
        self.database
            .write(move |transaction| {
                match text {
                    Some(text) => transaction
                        .prepare_cached(
                            "INSERT INTO memo (name, text) VALUES (?1, ?2)
                             ON CONFLICT (name) DO UPDATE SET text = excluded.text",
                        )?
                        .execute(params![key, text])?,
                    None => transaction
                        .prepare_cached("DELETE FROM memo WHERE name = ?1")?
                        .execute([key])?,
                };
                Ok(())
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("write memo {name}")))
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let begin = prefix.to_owned();
        self.database
            .read(move |connection| {
                let mut query = connection
                    .prepare_cached("SELECT name, text FROM memo WHERE name >= ?1 ORDER BY name")?;
                let mut rows = query.query([&begin])?;
                let mut memos = Vec::new();
                while let Some(row) = rows.next()? {
                    let name: String = row.get(0)?;
                    if !name.starts_with(&begin) {
                        break;
                    }
                    memos.push((name, row.get(1)?));
                }
                Ok(memos)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("read memos {prefix}")))
    }
}
