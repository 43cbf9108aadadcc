use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError};
use kugetsu_testkit::suite::{NotifierFixture, notices};

use super::{assert_each_is_noticed, assert_sound, faults};

#[derive(Debug, Clone)]
struct Faulty {
    fault: &'static str,
    name: String,
    kept: Arc<Mutex<Vec<Notice>>>,
}

#[async_trait]
impl NotifierFixture for Faulty {
    async fn open(&self) -> Arc<dyn Notifier> {
        if self.fault == "forgets when it is closed" {
            self.kept.lock().unwrap().clear();
        }
        Arc::new(self.clone())
    }

    async fn kept(&self) -> Vec<Notice> {
        self.kept.lock().unwrap().clone()
    }
}

#[async_trait]
impl Notifier for Faulty {
    fn name(&self) -> &str {
        if self.fault == "has no name" { "" } else { &self.name }
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let mut notice = notice.clone();
        if self.fault == "trims" {
            notice.text = notice.text.trim().to_owned();
        }
        let is_kept = self.kept.lock().unwrap().iter().any(|kept| kept.key == notice.key);
        if self.fault == "compares and then writes" {
            tokio::task::yield_now().await;
        }
        let mut kept = self.kept.lock().unwrap();
        match self.fault {
            "keeps all" => kept.push(notice),
            "puts the newest first" if !is_kept => kept.insert(0, notice),
            _ if is_kept => {}
            _ => kept.push(notice),
        }
        Ok(())
    }
}

faults! {
    a_notifier_keeps_its_name {
        "has no name" => "!here.name().trim().is_empty()",
    }
    a_notice_that_was_brought_is_there_after_reopening {
        "forgets when it is closed" => "came as Notice { key: \"event-2\"",
    }
    a_notice_comes_as_it_was {
        "trims" => "kind: TaskBlocked",
    }
    notices_come_in_their_order {
        "puts the newest first" => "came as Notice { key: \"event-97\"",
    }
    a_notice_that_comes_again_is_kept_once {
        "keeps all" => "came as Notice { key: \"event-1\"",
    }
    notices_brought_at_once_are_all_there {
        "compares and then writes" => "a notice was kept twice",
    }
}

#[tokio::test]
async fn a_faulty_notifier_is_noticed() {
    let faulty = async |fault| {
        Box::new(Faulty { fault, name: "faulty".into(), kept: Arc::default() })
            as Box<dyn NotifierFixture>
    };
    assert_sound(notices::PROMISES, &faulty).await;
    assert_each_is_noticed(notices::PROMISES, FAULTS, &faulty).await;
}
