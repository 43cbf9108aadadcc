use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{MemoStore, StoreError};
use kugetsu_testkit::suite::{MemoStoreFixture, memos};

use super::{assert_each_is_noticed, assert_sound, faults};

#[derive(Debug, Clone)]
struct Faulty {
    fault: &'static str,
    inner: MemoryStore,
}

#[async_trait]
impl MemoStoreFixture for Faulty {
    async fn open(&self) -> Arc<dyn MemoStore> {
        let mut store = self.clone();
        if self.fault == "forgets when it is closed" {
            store.inner = MemoryStore::new();
        }
        Arc::new(store)
    }
}

#[async_trait]
impl MemoStore for Faulty {
    async fn memo(&self, name: &str) -> Result<Option<String>, StoreError> {
        match self.fault {
            "finds what begins so" => Ok(self.inner.memos(name).await?.pop().map(|(_, text)| text)),
            _ => self.inner.memo(name).await,
        }
    }

    async fn set_memo(&self, name: &str, text: Option<&str>) -> Result<(), StoreError> {
        match (self.fault, text) {
            ("trims", Some(text)) => self.inner.set_memo(name, Some(text.trim())).await,
            ("keeps the first", Some(_)) if self.inner.memo(name).await?.is_some() => Ok(()),
            ("forgets nothing", None) => Ok(()),
            ("mixes what is written at once", Some(text)) => {
                let (first, rest) = text.split_at(text.len() / 2);
                self.inner.set_memo(name, Some(first)).await?;
                tokio::task::yield_now().await;
                let begun = self.inner.memo(name).await?.unwrap_or_default();
                self.inner.set_memo(name, Some(&(begun + rest))).await
            }
            _ => self.inner.set_memo(name, text).await,
        }
    }

    async fn memos(&self, prefix: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut found = self.inner.memos(prefix).await?;
        match self.fault {
            "ignores case" => {
                let all = self.inner.memos("").await?.into_iter();
                let begins = |name: &str| name.to_lowercase().starts_with(&prefix.to_lowercase());
                found = all.filter(|(name, _)| begins(name)).collect();
            }
            "takes % for any text" if prefix.contains('%') => {
                found = self.inner.memos(prefix.trim_end_matches('%')).await?;
            }
            _ => {}
        }
        Ok(found)
    }
}

faults! {
    a_memo_is_there_after_reopening {
        "forgets when it is closed" => "left: None",
    }
    a_memo_comes_back_as_it_was {
        "trims" => "left: Some(\"two\\nlines\\r\\nand\\ttabs\")",
    }
    a_memo_that_was_never_set_is_not_there {
        "finds what begins so" => "left: Some(\"1\")",
    }
    a_memo_is_replaced_by_the_next_of_its_name {
        "keeps the first" => "left: Some(\"first\")",
    }
    a_memo_that_was_forgotten_is_gone {
        "forgets nothing" => "left: Some(\"1\")",
    }
    memos_are_found_by_the_beginning_of_their_names {
        "ignores case" => "left: [(\"HOLD/a\", \"hold/a\")",
        "takes % for any text" => "left: [(\"hold\", \"hold\")",
    }
    of_many_memos_of_one_name_at_once_one_stays_whole {
        "mixes what is written at once" => "what is left is ",
    }
}

/// On one thread, where whoever yields lets all others go first.
#[tokio::test]
async fn a_faulty_memo_store_is_noticed() {
    let faulty = async |fault| {
        Box::new(Faulty { fault, inner: MemoryStore::new() }) as Box<dyn MemoStoreFixture>
    };
    assert_sound(memos::PROMISES, &faulty).await;
    assert_each_is_noticed(memos::PROMISES, FAULTS, &faulty).await;
}
