use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu::core::{Notice, Notifier, NotifyError};
use kugetsu_examples::notifier::{FileNotifier, kept};
use kugetsu_testkit::suite::NotifierFixture;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::with_prefix("kugetsu-example-").unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("notices.jsonl")
    }
}

#[async_trait]
impl NotifierFixture for Place {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(FileNotifier::new(self.file()))
    }

    async fn kept(&self) -> Vec<Notice> {
        kept(&self.file()).unwrap()
    }
}

kugetsu_testkit::notifier_conformance!(Place::new());

fn notice(key: &str) -> Notice {
    let notice = r#"{"at":1,"kind":"task_queued","severity":"info","text":"It was queued.",
                     "task":"019b76da-a800-7000-8000-000000000001","key":"KEY"}"#;
    serde_json::from_str(&notice.replace("KEY", key)).unwrap()
}

#[tokio::test]
async fn half_a_line_of_a_process_that_died_is_written_anew() {
    let place = Place::new();
    let notifier = FileNotifier::new(place.file());
    notifier.notify(&notice("event-1")).await.unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(place.file()).unwrap();
    // In the middle of a character, too.
    file.write_all(b"{\"key\":\"event-2\",\"text\":\"\xe6\x97").unwrap();
    notifier.notify(&notice("event-2")).await.unwrap();
    assert_eq!(kept(&place.file()).unwrap(), [notice("event-1"), notice("event-2")]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_else_keeps_makes_it_fail_and_not_wait_for_ever() {
    let place = Place::new();
    let file = std::fs::File::create(place.file()).unwrap();
    file.lock().unwrap();
    let failed = FileNotifier::new(place.file()).notify(&notice("event-1")).await;
    assert!(matches!(failed, Err(NotifyError::Backend { .. })), "{failed:?}");
}
