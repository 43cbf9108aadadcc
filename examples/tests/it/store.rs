use std::sync::Arc;

use async_trait::async_trait;
use kugetsu::core::{MemoStore, SessionStore, StoreError, TaskQuery, TaskStore};
use kugetsu_examples::store::FileStore;
use kugetsu_testkit::suite::{MemoStoreFixture, SessionStoreFixture, TaskStoreFixture};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::with_prefix("kugetsu-example-").unwrap())
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.0.path().join("store.json"))
    }
}

#[async_trait]
impl TaskStoreFixture for Place {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(self.store())
    }
}

#[async_trait]
impl SessionStoreFixture for Place {
    async fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.store())
    }
}

#[async_trait]
impl MemoStoreFixture for Place {
    async fn open(&self) -> Arc<dyn MemoStore> {
        Arc::new(self.store())
    }
}

mod tasks {
    kugetsu_testkit::task_store_conformance!(super::Place::new());
}

mod sessions {
    kugetsu_testkit::session_store_conformance!(super::Place::new());
}

mod memos {
    kugetsu_testkit::memo_store_conformance!(super::Place::new());
}

#[tokio::test]
async fn a_damaged_file_is_never_an_empty_store() {
    let place = Place::new();
    for damaged in ["", "{", "[]", "{\"tasks\":[]}"] {
        std::fs::write(place.0.path().join("store.json"), damaged).unwrap();
        let listed = place.store().list(&TaskQuery::all()).await;
        assert!(matches!(listed, Err(StoreError::Damaged { .. })), "{damaged:?}: {listed:?}");
    }
}
