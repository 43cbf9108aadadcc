//! What is done about damage, short of losing anything.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kugetsu_core::{
    Cursor, Event, EventLog, Happening, MemoStore, Role, StoreError, TaskQuery, TaskStore,
    Timestamp,
};
use kugetsu_queue::SqliteStore;
use kugetsu_queue::sqlite::care::{self, FileFault, Kind, Salvaged};
use rusqlite::Connection;

use super::{enqueue, now, open, task};

const AT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn file(home: &Path) -> PathBuf {
    home.join("state/kugetsu.db")
}

/// Everything is in the one file, as after a clean end.
fn settle(path: &Path) {
    let store = Connection::open(path).unwrap();
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn break_records(path: &Path, statement: &str) {
    let store = Connection::open(path).unwrap();
    assert_eq!(store.execute(statement, []).unwrap(), 1, "{statement}");
}

#[tokio::test]
async fn one_unreadable_record_stops_nothing_but_itself() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    for number in 0..3 {
        enqueue(&store, &task(number)).await;
    }
    let before = store.read(Cursor(0), 10).await.unwrap();
    let path = file(home.path());
    let odd = "UPDATE task SET document = '{}' WHERE seq = 1";
    break_records(&path, odd);
    break_records(&path, "UPDATE event SET document = 'half an ev' WHERE cursor = 1");
    // Not even the limit of one hides those behind it.
    let due = store.due(now(), Role::Dev, 1).await.unwrap();
    assert_eq!(due.iter().map(|task| task.id).collect::<Vec<_>>(), [task(1).id]);
    assert_eq!(store.list(&TaskQuery::all().with_limit(1)).await.unwrap().len(), 1);
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 2);
    assert!(matches!(store.load(task(0).id).await, Err(StoreError::Damaged { .. })));
    let events = store.read(Cursor(0), 10).await.unwrap();
    assert_eq!(events.len(), before.len());
    assert_eq!(events[1..], before[1..]);
    let Happening::Unknown(unknown) = &events[0].1.what else { panic!("{:?}", events[0]) };
    assert_eq!(unknown.kind, "unreadable");
    assert!(serde_json::to_string(&events[0].1).unwrap().contains("half an ev"));

    let examined = care::examine(&path);
    let kinds: Vec<Kind> = examined.unreadable.iter().map(|record| record.kind).collect();
    assert_eq!((examined.fault, kinds), (None, vec![Kind::Task, Kind::Event]));
    let moved = care::set_aside(&path, AT).unwrap();
    assert_eq!(moved.records.len(), 2);
    let aside = fs::read_to_string(&moved.to).unwrap();
    assert_eq!(aside.lines().count(), 2);
    assert!(aside.contains("half an ev") && aside.contains(&task(0).id.to_string()), "{aside}");
    assert_eq!(care::examine(&path), care::Examined::default());
    assert_eq!(care::set_aside(&path, AT).unwrap().records, []);
    // Whoever reads the log goes on behind the gap.
    assert_eq!(store.read(Cursor(0), 10).await.unwrap(), before[1..]);
}

#[tokio::test]
async fn nothing_is_due_when_only_an_unreadable_task_is() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    break_records(&file(home.path()), "UPDATE task SET document = x'ff' || '' WHERE seq = 1");
    assert_eq!(store.due(now(), Role::Dev, 8).await.unwrap(), []);
    // A daemon that was told a time would come back at once, again and again.
    assert_eq!(store.next_due(now(), Role::Dev).await.unwrap(), None);
}

#[tokio::test]
async fn a_store_that_was_made_and_is_gone_is_no_new_one() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()).await);
    let path = file(home.path());
    settle(&path);
    fs::remove_file(&path).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(!path.exists());
    assert_eq!(care::examine(&path).fault, Some(FileFault::Gone));
    let done = care::salvage(&path, "now", AT).unwrap();
    assert_eq!((done.kept, done.lost.len()), (None, 1));
    assert_eq!(open(home.path()).await.list(&TaskQuery::all()).await.unwrap(), []);
}

/// A store of 60 tasks and their events, damaged.
async fn damaged(damage: impl FnOnce(&fs::File, u64)) -> (tempfile::TempDir, Salvaged) {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    for number in 0..60 {
        enqueue(&store, &task(number)).await;
    }
    store.set_memo("cursor/far", Some("500")).await.unwrap();
    drop(store);
    let path = file(home.path());
    settle(&path);
    let content = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    damage(&content, content.metadata().unwrap().len());
    let before = fs::read(&path).unwrap();
    assert!(matches!(care::examine(&path).fault, Some(FileFault::Damaged { .. })));
    let done = care::salvage(&path, "now", AT).unwrap();
    assert_eq!(fs::read(done.kept.as_ref().unwrap()).unwrap(), before, "kept as it was");
    assert_eq!(care::examine(&path).fault, None);
    let names = fs::read_dir(home.path().join("state")).unwrap();
    for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        assert!(!name.contains(".copy") && !name.contains(".salvag"), "{name} is left");
    }
    (home, done)
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_store_is_in_the_new_one() {
    let (home, done) = damaged(|file, _| file.write_all_at(&[0; 4096], 0).unwrap()).await;
    assert_eq!((done.tasks, done.events), (60, 60), "{done:?}");
    let store = open(home.path()).await;
    let all = store.list(&TaskQuery::all()).await.unwrap();
    assert!(all.iter().zip(0..).all(|(found, number)| found.id == task(number).id));
    assert_eq!(store.memo("cursor/far").await.unwrap().as_deref(), Some("500"));
    // Whoever has read up to 500 is not to miss what comes now.
    let event = Event::new(AT, task(0).id, None, Happening::CancelRequested);
    assert_eq!(store.append(&[event]).await.unwrap(), Cursor(501));

    // A page in the middle.
    let (_home, done) = damaged(|file, length| {
        let middle = length / 4096 / 2 * 4096;
        file.write_all_at(&[0xa5; 4096], middle).unwrap();
    })
    .await;
    assert!(done.tasks + done.events >= 60, "{done:?}");
    assert!(done.tasks == 60 && done.events == 60 || !done.lost.is_empty(), "{done:?}");
}

#[tokio::test]
async fn whatever_is_damaged_nothing_panics_and_the_damaged_file_is_kept() {
    for (at, flip) in [(0, 1), (1, 64), (2, 512)] {
        damaged(|file, length| {
            let mut place = 100 + at;
            while place < length {
                let mut byte = [0];
                file.read_exact_at(&mut byte, place).unwrap();
                file.write_all_at(&[byte[0] ^ 0x55], place).unwrap();
                place += 64 * flip;
            }
        })
        .await;
    }
    for part in 1..8 {
        damaged(|file, length| file.set_len(length * part / 8).unwrap()).await;
    }
}

#[tokio::test]
async fn a_salvage_that_was_killed_goes_on_with_what_it_had_put_aside() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    drop(store);
    let path = file(home.path());
    settle(&path);
    // As it is after the file was moved, and before anything else was done.
    let kept = home.path().join("state/kugetsu.db.damaged-then");
    fs::rename(&path, &kept).unwrap();
    fs::write(home.path().join("state/kugetsu.db.salvaging"), "kugetsu.db.damaged-then").unwrap();
    let done = care::salvage(&path, "now", AT).unwrap();
    assert_eq!((done.kept, done.tasks, done.lost), (Some(kept), 1, vec![]));
    assert_eq!(open(home.path()).await.list(&TaskQuery::all()).await.unwrap().len(), 1);
}
