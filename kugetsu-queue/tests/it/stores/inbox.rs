//! Notices that are kept.

use kugetsu_core::{Cursor, Notice};

use super::{claimed, now, task};

pub(crate) fn notices() -> Vec<Notice> {
    let (_, taken) = claimed(&task(0), "here-0");
    let events = [task(0).enqueued(now()), taken];
    let notices = events.iter().zip(1..).map(|(event, at)| Notice::of(event, Cursor(at)).unwrap());
    notices.collect()
}

/// Makes the tests for the store that is opened so.
macro_rules! inbox {
    ($open:path) => {
        mod inbox {
            use kugetsu_core::Notifier;
            use kugetsu_queue::inbox::{Inbox, Notices};

            use crate::stores::notices;

            #[tokio::test]
            async fn a_notice_is_kept_once_however_often_it_comes() {
                let home = tempfile::tempdir().unwrap();
                let store = $open(home.path()).await;
                for _ in 0..3 {
                    for notice in notices() {
                        store.notify(&notice).await.unwrap();
                    }
                }
                let found = $open(home.path()).await.notices(Notices::Unread).await.unwrap();
                assert!(found.iter().all(|stored| stored.unread));
                assert_eq!(
                    found.into_iter().map(|stored| stored.notice).collect::<Vec<_>>(),
                    notices()
                );
            }

            #[tokio::test]
            async fn a_notice_that_was_read_stays_and_is_not_shown_as_new() {
                let home = tempfile::tempdir().unwrap();
                let store = $open(home.path()).await;
                let [first, second] = notices().try_into().unwrap();
                store.notify(&first).await.unwrap();
                store.notify(&second).await.unwrap();
                store.mark_read(&[first.key.clone(), "no-such-notice".into()]).await.unwrap();
                // It comes again, and stays read.
                store.notify(&first).await.unwrap();
                let unread = store.notices(Notices::Unread).await.unwrap();
                assert_eq!(
                    unread.into_iter().map(|stored| stored.notice).collect::<Vec<_>>(),
                    [second]
                );
                let all = store.notices(Notices::All).await.unwrap();
                assert_eq!(
                    all.iter().map(|stored| stored.unread).collect::<Vec<_>>(),
                    [false, true]
                );
            }
        }
    };
}
pub(crate) use inbox;
