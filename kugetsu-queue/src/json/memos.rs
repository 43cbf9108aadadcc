//! What is remembered by name.

use async_trait::async_trait;
use kugetsu_core::{MemoStore, StoreError};

use super::JsonStore;
use super::record::{Memo, Record};

#[async_trait]
impl MemoStore for JsonStore {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        let key = name.to_owned();
        self.book
            .read(move |open| Ok(open.state.memos.get(&key).cloned()))
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("read memo {name}")))
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        let memo = Memo { name: name.to_owned(), text: text.map(str::to_owned) };
        let write = async {
            self.book
                .write(move |open| {
                    if open.state.memos.get(&memo.name) == memo.text.as_ref() {
                        return Ok((None, ()));
                    }
                    Ok((Some(Record::Memo(memo).text()?), ()))
                })
                .await
        };
        write
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("write memo {name}")))
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let begin = prefix.to_owned();
        self.book
            .read(move |open| {
                let from = open.state.memos.range(begin.clone()..);
                let begin_so = from.take_while(|(name, _)| name.starts_with(&begin));
                Ok(begin_so.map(|(name, text)| (name.clone(), text.clone())).collect())
            })
            .await
            .map_err(|fault| fault.into_store_error(self.path(), &format!("read memos {prefix}")))
    }
}
