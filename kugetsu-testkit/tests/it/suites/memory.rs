use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kugetsu_core::{MemoStore, MemorySlots, MemoryStore, SessionStore, SlotPool, TaskStore};
use kugetsu_testkit::suite::{
    MemoStoreFixture, SessionStoreFixture, SlotPoolFixture, TaskStoreFixture,
};

#[derive(Default)]
struct Memory(MemoryStore);

#[async_trait]
impl TaskStoreFixture for Memory {
    async fn open(&self) -> Arc<dyn TaskStore> {
        Arc::new(self.0.clone())
    }
}

#[async_trait]
impl SessionStoreFixture for Memory {
    async fn open(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.0.clone())
    }
}

#[async_trait]
impl MemoStoreFixture for Memory {
    async fn open(&self) -> Arc<dyn MemoStore> {
        Arc::new(self.0.clone())
    }
}

struct Slots(OnceLock<MemorySlots>);

#[async_trait]
impl SlotPoolFixture for Slots {
    async fn open(&self, dev: u32) -> Arc<dyn SlotPool> {
        Arc::new(self.0.get_or_init(|| MemorySlots::new(dev)).clone())
    }

    fn slots_are_files(&self) -> bool {
        false
    }
}

mod tasks {
    kugetsu_testkit::task_store_conformance!(super::Memory::default());
}

mod sessions {
    kugetsu_testkit::session_store_conformance!(super::Memory::default());
}

mod memos {
    kugetsu_testkit::memo_store_conformance!(super::Memory::default());
}

mod slots {
    use std::sync::OnceLock;

    kugetsu_testkit::slot_pool_conformance!(super::Slots(OnceLock::new()));
}
