use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError, Retry};

/// Keeps notices, one of each key, for a test to look at. Clones share them.
#[derive(Debug, Clone)]
pub struct RecordingNotifier {
    name: String,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    kept: Vec<Notice>,
    brought: usize,
    refusals: u32,
}

impl RecordingNotifier {
    /// A notifier of this name, with no notices so far.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), record: Arc::default() }
    }

    /// Lets the next `count` notices fail in a way that may pass.
    pub fn fail(&self, count: u32) {
        self.record().refusals = count;
    }

    /// The notices kept, in the order in which they came first.
    pub fn kept(&self) -> Vec<Notice> {
        self.record().kept.clone()
    }

    /// How often a notice was brought, those that came again or failed included.
    pub fn brought(&self) -> usize {
        self.record().brought
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let mut record = self.record();
        record.brought += 1;
        if record.refusals > 0 {
            record.refusals -= 1;
            return Err(NotifyError::Backend {
                who: self.name.clone(),
                operation: format!("bring {}", notice.key),
                retry: Retry::Later,
                source: "the test lets it fail".into(),
            });
        }
        if record.kept.iter().all(|kept| kept.key != notice.key) {
            record.kept.push(notice.clone());
        }
        Ok(())
    }
}
