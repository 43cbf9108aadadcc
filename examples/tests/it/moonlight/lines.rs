use std::sync::Arc;

use async_trait::async_trait;
use kugetsu::core::{Notice, Notifier};
use kugetsu_examples::moonlight::Lines;
use kugetsu_testkit::suite::NotifierFixture;
use tempfile::TempDir;

struct Place(TempDir);

#[async_trait]
impl NotifierFixture for Place {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(Lines(self.0.path().join("notices.jsonl")))
    }

    async fn kept(&self) -> Vec<Notice> {
        let text = std::fs::read_to_string(self.0.path().join("notices.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

kugetsu_testkit::notifier_conformance!(Place(TempDir::new().unwrap()));
