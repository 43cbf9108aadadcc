//! What other processes do with the store.

use kugetsu_core::{Expected, MemoStore, SessionStore, StoreError, TaskStore};

use super::{claimed, enqueue, memo_of, now, session_of, task, task_id};
use crate::process::{say, told};

/// Loads task 0, then claims it when it is told to go, and says whether it has got it.
pub(crate) async fn rival(store: impl TaskStore) {
    while let Some(worker) = told() {
        let found = store.load(task_id(0)).await.unwrap().unwrap();
        let (next, event) = claimed(&found, &worker);
        say("ready");
        told();
        match store.commit(&next, Expected::At(found.revision), &[event]).await {
            Ok(()) => say("won"),
            Err(StoreError::Conflict { .. }) => say("lost"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Enqueues tasks, from the number that it is told on, each with four events more than the usual
/// one, puts a session for each and remembers the last, and says which it has enqueued.
pub(crate) async fn writer(store: impl TaskStore + SessionStore + MemoStore) {
    let first: u64 = told().unwrap().parse().unwrap();
    for number in first.. {
        let task = task(number);
        let events = vec![task.enqueued(now()); 5];
        store.commit(&task, Expected::Absent, &events).await.unwrap();
        store.put(&session_of(number), Expected::Absent).await.unwrap();
        store.set_memo("last", Some(&memo_of(number))).await.unwrap();
        say(&number.to_string());
    }
}

/// Opens the store, which may not be there yet, enqueues a task there and says how many events the
/// log has.
pub(crate) async fn opener<S: TaskStore>(open: impl AsyncFnOnce() -> S) {
    say("ready");
    let number: u64 = told().unwrap().parse().unwrap();
    let store = open().await;
    enqueue(&store, &task(number)).await;
    say(&store.append(&[]).await.unwrap().to_string());
}
