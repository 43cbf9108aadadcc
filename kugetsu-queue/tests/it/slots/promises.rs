use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::SlotPool;
use kugetsu_testkit::suite::SlotPoolFixture;
use tempfile::TempDir;

use super::open;

struct Home(TempDir);

#[async_trait]
impl SlotPoolFixture for Home {
    async fn open(&self, dev: u32) -> Arc<dyn SlotPool> {
        Arc::new(open(self.0.path(), dev))
    }
}

kugetsu_testkit::slot_pool_conformance!(Home(tempfile::tempdir().unwrap()));
