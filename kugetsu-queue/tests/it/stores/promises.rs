//! What every store promises.

/// Makes the tests for the store that is opened so.
macro_rules! promises {
    ($open:path) => {
        mod promises {
            use std::sync::Arc;

            use async_trait::async_trait;
            use kugetsu_core::{MemoStore, Notice, Notifier, SessionStore, TaskStore};
            use kugetsu_queue::inbox::{Inbox as _, Notices};
            use kugetsu_testkit::suite::{
                MemoStoreFixture, NotifierFixture, SessionStoreFixture, TaskStoreFixture,
            };
            use tempfile::TempDir;

            struct Home(TempDir);

            fn home() -> Home {
                Home(tempfile::tempdir().unwrap())
            }

            #[async_trait]
            impl TaskStoreFixture for Home {
                async fn open(&self) -> Arc<dyn TaskStore> {
                    Arc::new($open(self.0.path()).await)
                }
            }

            #[async_trait]
            impl SessionStoreFixture for Home {
                async fn open(&self) -> Arc<dyn SessionStore> {
                    Arc::new($open(self.0.path()).await)
                }
            }

            #[async_trait]
            impl MemoStoreFixture for Home {
                async fn open(&self) -> Arc<dyn MemoStore> {
                    Arc::new($open(self.0.path()).await)
                }
            }

            #[async_trait]
            impl NotifierFixture for Home {
                async fn open(&self) -> Arc<dyn Notifier> {
                    Arc::new($open(self.0.path()).await)
                }

                async fn kept(&self) -> Vec<Notice> {
                    let kept = $open(self.0.path()).await.notices(Notices::All).await.unwrap();
                    kept.into_iter().map(|stored| stored.notice).collect()
                }
            }

            mod tasks {
                kugetsu_testkit::task_store_conformance!(super::home());
            }

            mod sessions {
                kugetsu_testkit::session_store_conformance!(super::home());
            }

            mod memos {
                kugetsu_testkit::memo_store_conformance!(super::home());
            }

            mod notices {
                kugetsu_testkit::notifier_conformance!(super::home());
            }
        }
    };
}
pub(crate) use promises;
