//! The inbox: notices kept until a person has read them.

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError, StoreError};

use super::JsonStore;
use super::record::{Brought, Read, Record, document};
use crate::fault::Fault;
use crate::inbox::{Inbox, Notices, StoredNotice};

#[async_trait]
impl Notifier for JsonStore {
    fn name(&self) -> &'static str {
        "inbox"
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let write = async {
            let (key, notice) = (notice.key.clone(), document(notice)?);
            let record = Record::Notice(Brought { unread: true, notice: &notice }).text()?;
            self.book
                .write(move |open| {
                    let is_new = open.state.unread(&key).is_none();
                    Ok((is_new.then_some(record), ()))
                })
                .await
        };
        write.await.map_err(|fault| fault.into_notify_error(self.path(), "keep a notice"))
    }
}

#[async_trait]
impl Inbox for JsonStore {
    async fn notices(&self, which: Notices) -> Result<Vec<StoredNotice>, StoreError> {
        self.book
            .read(move |open| {
                let all = open.state.notices.iter();
                let meant = all.filter(|notice| notice.unread || which == Notices::All);
                let mut notices = Vec::new();
                for found in meant {
                    let notice = serde_json::from_str(&open.journal.document(found.span)?)
                        .map_err(|error| Fault::unreadable("a notice", &error))?;
                    notices.push(StoredNotice::new(notice, found.unread));
                }
                Ok(notices)
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "read the inbox"))
    }

    async fn mark_read(&self, keys: &[String]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.book
            .write(move |open| {
                let is_unread = |key: &String| open.state.unread(key) == Some(true);
                let keys: Vec<String> = keys.into_iter().filter(is_unread).collect();
                if keys.is_empty() {
                    return Ok((None, ()));
                }
                Ok((Some(Record::Read(Read { keys }).text()?), ()))
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), "mark notices as read"))
    }
}
