//! The inbox: notices kept until a person has read them.

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError, StoreError};
use rusqlite::params;

use super::SqliteStore;
use super::fault::Fault;
use super::tasks::{document, readable, text};
use crate::inbox::{Inbox, Notices, StoredNotice};

#[async_trait]
impl Notifier for SqliteStore {
    fn name(&self) -> &'static str {
        "inbox"
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let write = async {
            let (key, document) = (notice.key.clone(), text(notice)?);
            self.database
                .write(move |transaction| {
                    transaction
                        .prepare_cached(
                            "INSERT INTO notice (key, unread, document) VALUES (?1, 1, ?2)
                             ON CONFLICT (key) DO NOTHING",
                        )?
                        .execute([key, document])?;
                    Ok(())
                })
                .await
        };
        write.await.map_err(|fault| fault.into_notify_error(self.path(), "keep a notice"))
    }
}

#[async_trait]
impl Inbox for SqliteStore {
    async fn notices(&self, which: Notices) -> Result<Vec<StoredNotice>, StoreError> {
        self.database
            .read(move |connection| {
                let mut query = connection.prepare_cached(match which {
                    Notices::Unread => {
                        "SELECT unread, document FROM notice WHERE unread = 1 ORDER BY seq"
                    }
                    Notices::All => "SELECT unread, document FROM notice ORDER BY seq",
                })?;
                let mut rows = query.query([])?;
                let mut notices = Vec::new();
                while let Some(row) = rows.next()? {
                    let read = document(row, 1).and_then(|document| {
                        serde_json::from_str(document)
                            .map_err(|error| Fault::unreadable("a notice", &error))
                    });
                    if let Some(notice) = readable(read).transpose()? {
                        notices.push(StoredNotice::new(notice, row.get(0)?));
                    }
                }
                Ok(notices)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read the inbox"))
    }

    async fn mark_read(&self, keys: &[String]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.database
            .write(move |transaction| {
                let mut update = transaction
                    .prepare_cached("UPDATE notice SET unread = 0 WHERE key = ?1 AND unread = 1")?;
                for key in keys {
                    update.execute(params![key])?;
                }
                Ok(())
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "mark notices as read"))
    }
}
