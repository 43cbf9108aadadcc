//! Everything from one kind of store to the other, and back.

use std::fs;
use std::path::Path;

use kugetsu_core::{
    Cursor, Event, Expected, MemoStore, Notice, Revision, SessionStore, StoreError, TaskQuery,
    TaskStore,
};
use kugetsu_queue::inbox::{Inbox, Notices};
use kugetsu_queue::{Contents, JsonStore, SqliteStore};

use crate::stores::{claimed, enqueue, now, session, task};

/// What only a newer kugetsu knows.
fn unknown() -> Event {
    let event = serde_json::json!({
        "format": "kugetsu.event/1",
        "at": 5,
        "task": task(0).id,
        "what": { "type": "teleported", "data": { "z": 1, "a": [1.5, null, "\n\u{2028}"] } },
    });
    serde_json::from_value(event).unwrap()
}

async fn filled<S>(store: &S)
where
    S: TaskStore + SessionStore + MemoStore + Inbox,
{
    // Ids that do not sort as they were committed.
    for number in [3, 1, 2, 0] {
        enqueue(store, &task(number)).await;
    }
    let (taken, told) = claimed(&task(0), "here-0");
    store.commit(&taken, Expected::At(Revision(1)), &[told.clone(), unknown()]).await.unwrap();
    TaskStore::remove(store, task(2).id, Revision(1)).await.unwrap();
    store.put(&session(), Expected::Absent).await.unwrap();
    store.put(&session(), Expected::At(Revision(1))).await.unwrap();
    store.set_memo("cursor/inbox", Some("4")).await.unwrap();
    store.set_memo("odd \u{1b} name\n", Some("")).await.unwrap();
    let notices = [Notice::of(&told, Cursor(5)), Notice::of(&task(1).enqueued(now()), Cursor(2))];
    for notice in notices.iter().flatten() {
        store.notify(notice).await.unwrap();
    }
    store.mark_read(&["event-5".into()]).await.unwrap();
}

/// What anybody can ask.
async fn asked<S>(store: &S) -> String
where
    S: TaskStore + SessionStore + MemoStore + Inbox,
{
    let tasks = store.list(&TaskQuery::all()).await.unwrap();
    let events = store.read(Cursor(0), u32::MAX).await.unwrap();
    let sessions = store.find(&kugetsu_core::SessionQuery::all()).await.unwrap();
    let (memos, notices) =
        (store.memos("").await.unwrap(), store.notices(Notices::All).await.unwrap());
    let due = store.due(now(), kugetsu_core::Role::Dev, 99).await.unwrap();
    format!("{tasks:?}\n{events:?}\n{sessions:?}\n{memos:?}\n{notices:?}\n{due:?}")
}

#[tokio::test]
async fn there_and_back_again_everything_is_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let first = SqliteStore::open(path("first.db")).await.unwrap();
    filled(&first).await;
    let contents = first.contents().await.unwrap();
    assert!(!contents.is_empty());
    assert!(contents.events[5].contains("teleported"), "{:?}", contents.events);

    assert!(JsonStore::make(&path("json"), &contents).unwrap());
    let json = JsonStore::open(path("json")).await.unwrap();
    assert!(SqliteStore::make(&path("second.db"), &json.contents().await.unwrap()).unwrap());
    let second = SqliteStore::open(path("second.db")).await.unwrap();
    for store in [json.contents().await.unwrap(), second.contents().await.unwrap()] {
        assert_eq!(
            (&store.tasks, &store.events, &store.sessions, &store.notices, &store.memos),
            (
                &contents.tasks,
                &contents.events,
                &contents.sessions,
                &contents.notices,
                &contents.memos
            )
        );
    }
    assert_eq!(asked(&json).await, asked(&first).await);
    assert_eq!(asked(&second).await, asked(&first).await);
    // And each goes on where the other was.
    for store in [&json as &dyn TaskStore, &second] {
        assert_eq!(store.append(&[unknown()]).await.unwrap(), Cursor(7));
        let found = store.load(task(0).id).await.unwrap().unwrap();
        assert_eq!(found.revision, Revision(2));
    }
}

#[tokio::test]
async fn a_store_that_is_there_is_not_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(home.path().join("kugetsu.db")).await.unwrap();
    let json = JsonStore::open(home.path()).await.unwrap();
    enqueue(&sqlite, &task(0)).await;
    enqueue(&json, &task(1)).await;
    assert!(!SqliteStore::make(sqlite.path(), &Contents::default()).unwrap());
    assert!(!JsonStore::make(home.path(), &Contents::default()).unwrap());
    assert_eq!(sqlite.contents().await.unwrap().tasks.len(), 1);
    assert_eq!(json.contents().await.unwrap().tasks.len(), 1);
}

fn gone(result: Result<(), StoreError>, path: &Path) {
    let words = result.unwrap_err().to_string();
    assert!(words.contains("it is not there any more"), "{words}");
    assert!(!path.exists(), "a new store was made in its place");
}

#[tokio::test]
async fn whoever_has_a_store_open_that_was_handed_over_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(home.path().join("kugetsu.db")).await.unwrap();
    let other = SqliteStore::open(home.path().join("kugetsu.db")).await.unwrap();
    enqueue(&other, &task(0)).await;
    let refused = sqlite.hand_over(".kept", |_| Err::<(), _>("no")).await.unwrap();
    assert_eq!(refused.unwrap_err(), "no");
    enqueue(&other, &task(1)).await;

    // Nothing is put aside over something else.
    fs::write(home.path().join("kugetsu.db.other"), "").unwrap();
    let taken = sqlite.hand_over(".other", |_| Ok::<_, ()>(())).await.unwrap_err().to_string();
    assert!(taken.contains("kugetsu.db.other is there already"), "{taken}");

    let root = home.path().to_owned();
    let make = move |contents: &Contents| JsonStore::make(&root, contents);
    let (is_made, kept) = sqlite.hand_over(".kept", make).await.unwrap().unwrap();
    assert!(is_made);
    assert_eq!(kept, home.path().join("kugetsu.db.kept"));
    for store in [&sqlite, &other] {
        let commit = store.commit(&task(2), Expected::Absent, &[]).await;
        gone(commit, &home.path().join("kugetsu.db"));
        gone(store.list(&TaskQuery::all()).await.map(drop), &home.path().join("kugetsu.db"));
    }

    let json = JsonStore::open(home.path()).await.unwrap();
    let other_json = JsonStore::open(home.path()).await.unwrap();
    enqueue(&other_json, &task(3)).await;
    let database = home.path().join("kugetsu.db");
    let make = move |contents: &Contents| SqliteStore::make(&database, contents);
    json.hand_over(".kept", make).await.unwrap().unwrap();
    let journal = home.path().join("journal.jsonl");
    gone(other_json.commit(&task(4), Expected::Absent, &[]).await, &journal);
    gone(json.set_memo("a", Some("b")).await, &journal);
    for view in ["index.json", "notifications.json", "sessions", "queue/items"] {
        assert!(!home.path().join(view).exists(), "{view}");
    }

    let back = SqliteStore::open(home.path().join("kugetsu.db")).await.unwrap();
    enqueue(&back, &task(5)).await;
    // Whoever still had the first one open takes nothing along of the one in its place.
    gone_elsewhere(&other, "another file is in its place").await;
    drop((sqlite, other));
    assert!(home.path().join("kugetsu.db-wal").exists());
    assert_eq!(back.list(&TaskQuery::all()).await.unwrap().len(), 4);
    let kept = SqliteStore::open(home.path().join("kugetsu.db.kept")).await.unwrap();
    assert_eq!(kept.list(&TaskQuery::all()).await.unwrap().len(), 2);
    fs::rename(home.path().join("journal.jsonl.kept"), home.path().join("journal.jsonl")).unwrap();
    let kept = JsonStore::open(home.path()).await.unwrap();
    assert_eq!(kept.list(&TaskQuery::all()).await.unwrap().len(), 3);
}

async fn gone_elsewhere(store: &SqliteStore, words: &str) {
    let error = store.commit(&task(9), Expected::Absent, &[]).await.unwrap_err();
    assert!(error.to_string().contains(words), "{error}");
}
