use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier};
use kugetsu_testkit::fake::RecordingNotifier;
use kugetsu_testkit::suite::NotifierFixture;

struct Recording(RecordingNotifier);

#[async_trait]
impl NotifierFixture for Recording {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(self.0.clone())
    }

    async fn kept(&self) -> Vec<Notice> {
        self.0.kept()
    }
}

kugetsu_testkit::notifier_conformance!(Recording(RecordingNotifier::new("recording")));
