//! Several processes on one store, some of which are killed.

/// Makes the tests for the store that is opened so. The roles of the other processes begin as given.
macro_rules! crashes {
    ($open:path, $role:literal) => {
        mod crashes {
            use kugetsu_core::{
                Cursor, EventLog, MemoStore, Revision, SessionQuery, SessionStore, TaskQuery,
                TaskStore,
            };

            use crate::process::Other;
            use crate::stores::{enqueue, memo_of, session_of, task, task_id};

            #[tokio::test]
            async fn of_two_processes_that_commit_the_same_revision_one_succeeds() {
                let home = tempfile::tempdir().unwrap();
                let store = $open(home.path()).await;
                enqueue(&store, &task(0)).await;
                let mut rivals = ["here-0", "there-0"]
                    .map(|name| (name, Other::start(concat!($role, "rival"), home.path())));
                // The lease of the one before has to be gone by the wall clock of these tests, so one round it is.
                for (name, rival) in &mut rivals {
                    assert_eq!(rival.ask(name), "ready");
                }
                for (_, rival) in &mut rivals {
                    rival.tell("go");
                }
                let said = rivals.each_mut().map(|(name, rival)| (*name, rival.hear().unwrap()));
                let winners: Vec<_> = said.iter().filter(|(_, said)| said == "won").collect();
                assert_eq!(winners.len(), 1, "{said:?}");
                let found = TaskStore::load(&store, task_id(0)).await.unwrap().unwrap();
                assert_eq!(found.lease().unwrap().worker.as_str(), winners[0].0);
                assert_eq!(
                    store.append(&[]).await.unwrap(),
                    Cursor(2),
                    "the loser's event is in the log"
                );
                for (_, rival) in rivals {
                    rival.end();
                }
            }

            #[tokio::test]
            async fn what_was_acknowledged_outlives_a_kill_and_the_rest_is_whole() {
                let home = tempfile::tempdir().unwrap();
                let mut acknowledged = vec![];
                for round in 0..12 {
                    let first = round * 1_000_000;
                    let mut writer = Other::start(concat!($role, "writer"), home.path());
                    writer.tell(&first.to_string());
                    for _ in 0..=round {
                        acknowledged.push(writer.hear().unwrap().parse::<u64>().unwrap());
                    }
                    // In the middle of whatever it is doing by now.
                    writer.kill();
                    let store = $open(home.path()).await;
                    for number in &acknowledged {
                        assert!(
                            TaskStore::load(&store, task_id(*number)).await.unwrap().is_some(),
                            "task {number}"
                        );
                        let mut session = session_of(*number);
                        session.revision = Revision(1);
                        let found = SessionStore::load(&store, session.id).await.unwrap();
                        assert_eq!(found, Some(session), "session {number}");
                    }
                    for found in store.find(&SessionQuery::all()).await.unwrap() {
                        let number = found.how.split(';').next().unwrap().parse().unwrap();
                        assert_eq!(found.how, memo_of(number), "half a session");
                    }
                    let last = store.memo("last").await.unwrap().unwrap();
                    let number: u64 = last.split(';').next().unwrap().parse().unwrap();
                    assert_eq!(last, memo_of(number), "half a memo");
                    assert!(Some(&number) >= acknowledged.last(), "{number}, {acknowledged:?}");
                    let tasks = store.list(&TaskQuery::all()).await.unwrap();
                    let events = store.read(Cursor(0), u32::MAX).await.unwrap();
                    assert_eq!(
                        events.len(),
                        tasks.len() * 5,
                        "a task without its events, or the reverse"
                    );
                    let cursors: Vec<_> = events.iter().map(|(cursor, _)| cursor.0).collect();
                    assert_eq!(cursors, (1..=events.len() as u64).collect::<Vec<_>>());
                }
            }

            #[tokio::test]
            async fn processes_that_open_a_new_store_at_once_open_the_same() {
                let home = tempfile::tempdir().unwrap();
                let mut openers: Vec<_> =
                    (0..6).map(|_| Other::start(concat!($role, "opener"), home.path())).collect();
                for opener in &mut openers {
                    assert_eq!(opener.hear().unwrap(), "ready");
                }
                for (number, opener) in openers.iter_mut().enumerate() {
                    opener.tell(&number.to_string());
                }
                for opener in &mut openers {
                    opener.hear().unwrap();
                }
                for opener in openers {
                    opener.end();
                }
                let store = $open(home.path()).await;
                assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 6);
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn writers_wait_for_each_other() {
                let home = tempfile::tempdir().unwrap();
                let mut writers = vec![];
                for writer in 0..8 {
                    // A store of its own each, as another process would have.
                    let store = $open(home.path()).await;
                    writers.push(tokio::spawn(async move {
                        for number in 0..20 {
                            enqueue(&store, &task(writer * 100 + number)).await;
                        }
                    }));
                }
                for writer in writers {
                    writer.await.unwrap();
                }
                let store = $open(home.path()).await;
                assert_eq!(store.append(&[]).await.unwrap(), Cursor(160));
            }
        }
    };
}
pub(crate) use crashes;
