use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::memory::MemoryStore;
use kugetsu_core::{SessionStore, TaskStore};
use kugetsu_testkit::fake::StrictStore;
use kugetsu_testkit::suite::{SessionStoreFixture, TaskStoreFixture};

struct Strict(StrictStore<MemoryStore>);

impl Strict {
    fn new() -> Self {
        Self(StrictStore::new(Arc::default()))
    }
}

#[async_trait]
impl TaskStoreFixture for Strict {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(self.0.clone())
    }
}

#[async_trait]
impl SessionStoreFixture for Strict {
    async fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.0.clone())
    }
}

mod tasks {
    kugetsu_testkit::task_store_conformance!(super::Strict::new());
}

mod sessions {
    kugetsu_testkit::session_store_conformance!(super::Strict::new());
}
