use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{SessionStore, TaskStore};
use kugetsu_testkit::suite::{SessionStoreFixture, TaskStoreFixture};
use tempfile::TempDir;

use super::open;

struct Home(TempDir);

fn home() -> Home {
    Home(tempfile::tempdir().unwrap())
}

#[async_trait]
impl TaskStoreFixture for Home {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(open(self.0.path()).await)
    }
}

#[async_trait]
impl SessionStoreFixture for Home {
    async fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(open(self.0.path()).await)
    }
}

mod tasks {
    kugetsu_testkit::task_store_suite!(super::home());
}

mod sessions {
    kugetsu_testkit::session_store_suite!(super::home());
}
