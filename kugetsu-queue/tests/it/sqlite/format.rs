//! The file: whose it is, which format it has, and what is done about damage.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kugetsu_core::{
    Cursor, EventLog, Expected, Request, Retry, Role, StoreError, Task, TaskQuery, TaskStore,
};
use kugetsu_queue::{Contents, SqliteStore};
use rusqlite::Connection;

use super::open;
use crate::stores::{claimed, enqueue, now, task, task_id};

fn file(home: &Path) -> PathBuf {
    home.join("state/kugetsu.db")
}

async fn assert_damaged(path: &Path) {
    match SqliteStore::open(path).await {
        Err(error @ StoreError::Damaged { .. }) => {
            assert_eq!(error.retry(), Retry::Never);
            let words = error.to_string();
            assert!(words.starts_with(&path.display().to_string()), "{words}");
            assert!(words.contains("restore the file from a backup"), "{words}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_store_is_for_its_owner_only() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let directory = home.path().join("state");
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    let mut names = vec![];
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["kugetsu.db", "kugetsu.db-shm", "kugetsu.db-wal", "kugetsu.db.lock"]);
}

#[tokio::test]
async fn a_store_is_as_durable_as_it_says() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()).await);
    let plain = Connection::open(file(home.path())).unwrap();
    let mode: String = plain.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let newer = Connection::open(file(home.path())).unwrap();
    newer.pragma_update(None, "user_version", 1000).unwrap();
    let check = |error: StoreError| match error {
        StoreError::NewerFormat { store, found: 1000, .. } => {
            assert_eq!(store, file(home.path()).display().to_string());
        }
        other => panic!("{other:?}"),
    };
    check(SqliteStore::open(file(home.path())).await.unwrap_err());
    // Also where it was open before it was converted.
    let new = task(1);
    let write = store.commit(&new, Expected::Absent, &[]).await;
    check(write.unwrap_err());
    check(store.list(&TaskQuery::all()).await.unwrap_err());
    let tasks: u32 = newer.query_row("SELECT count(*) FROM task", [], |row| row.get(0)).unwrap();
    assert_eq!(tasks, 1);
}

#[tokio::test]
async fn what_is_no_store_is_neither_used_nor_changed() {
    let home = tempfile::tempdir().unwrap();
    for (name, content) in [("empty", ""), ("text", "This is the diary of a madman. ")] {
        let path = home.path().join(name);
        fs::write(&path, content.repeat(100)).unwrap();
        assert_damaged(&path).await;
        assert_eq!(fs::read_to_string(&path).unwrap(), content.repeat(100));
    }
    let path = home.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE song (title TEXT); PRAGMA user_version = 1").unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    assert_damaged(&path).await;
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_never_taken_for_an_empty_store() {
    let home = tempfile::tempdir().unwrap();
    let path = file(home.path());
    let store = open(home.path()).await;
    for number in 0..50 {
        enqueue(&store, &task(number)).await;
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 40_000, "what follows damages what is in the file: {}", whole.len());

    let attempt = async || {
        let store = SqliteStore::open(&path).await?;
        store.list(&TaskQuery::all()).await
    };
    for length in [1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        let result = attempt().await;
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "cut to {length}: {result:?}");
    }
    fs::write(&path, &whole).unwrap();
    let damaged = fs::OpenOptions::new().write(true).open(&path).unwrap();
    damaged.write_all_at(&vec![0xa5; whole.len() - 8192], 8192).unwrap();
    let result = attempt().await;
    assert!(matches!(result, Err(StoreError::Damaged { .. })), "overwritten: {result:?}");

    fs::write(&path, &whole).unwrap();
    assert_eq!(attempt().await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_document_that_makes_no_sense_is_named() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let editor = Connection::open(file(home.path())).unwrap();
    editor.execute("UPDATE task SET document = '{}'", []).unwrap();
    let error = store.load(task(0).id).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(&task(0).id.to_string()), "{error}");
}

#[tokio::test]
async fn what_a_crash_has_left_half_made_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("state")).unwrap();
    for leftover in ["kugetsu.db.new", "kugetsu.db.new-wal", "kugetsu.db.new-shm"] {
        fs::write(home.path().join("state").join(leftover), "half a sto").unwrap();
    }
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 1);
    assert!(!home.path().join("state/kugetsu.db.new").exists());
}

#[tokio::test]
async fn a_busy_file_is_worth_another_try() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    let other = Connection::open(file(home.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.commit(&task(0), Expected::Absent, &[]).await }
    });
    // Reading goes on meanwhile.
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap(), []);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.retry(), Retry::Later, "{error}");
    other.execute_batch("COMMIT").unwrap();
    enqueue(&store, &task(0)).await;
}

/// A file as each older format had it, by the statements that made it then.
fn older(path: &Path, formats: &[&str], from: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let old = Connection::open(path).unwrap();
    old.execute_batch(&formats.concat()).unwrap();
    old.pragma_update(None, "application_id", 0x6b75_6765).unwrap();
    old.pragma_update(None, "user_version", u32::try_from(formats.len()).unwrap()).unwrap();
    old.execute("ATTACH ?1 AS new", [from.to_str().unwrap()]).unwrap();
    for table in ["task", "event"] {
        old.execute(&format!("INSERT INTO {table} SELECT * FROM new.{table}"), []).unwrap();
    }
    old.execute_batch("DETACH new; PRAGMA journal_mode = wal").unwrap();
}

#[tokio::test]
async fn one_of_an_older_format_is_brought_to_this_one_with_all_that_is_in_it() {
    const FORMATS: [&str; 2] = [
        include_str!("../../../src/sqlite/migrations/0001.sql"),
        include_str!("../../../src/sqlite/migrations/0002.sql"),
    ];
    let source = tempfile::tempdir().unwrap();
    let new = open(source.path()).await;
    for number in 0..5 {
        enqueue(&new, &task(number)).await;
    }
    let (taken, told) = claimed(&task(0), "here-0");
    new.commit(&taken, Expected::At(task(0).revision), &[told]).await.unwrap();
    let pm = Task::new(task_id(9), Request::pm("What is next?"), now());
    enqueue(&new, &pm).await;
    for formats in [&FORMATS[..1], &FORMATS[..]] {
        let home = tempfile::tempdir().unwrap();
        older(&file(home.path()), formats, &file(source.path()));
        let store = open(home.path()).await;
        assert_eq!(
            store.list(&TaskQuery::all()).await.unwrap(),
            new.list(&TaskQuery::all()).await.unwrap()
        );
        assert_eq!(
            store.read(Cursor(0), 100).await.unwrap(),
            new.read(Cursor(0), 100).await.unwrap()
        );
        for (role, due) in [(Role::Dev, 4), (Role::Pm, 1)] {
            let found = store.due(now(), role, 10).await.unwrap();
            assert_eq!(found.len(), due);
            assert_eq!(found, new.due(now(), role, 10).await.unwrap());
            let next = store.next_due(now(), role).await.unwrap();
            assert_eq!(next, new.next_due(now(), role).await.unwrap());
        }
        let plain = Connection::open(file(home.path())).unwrap();
        let format: u32 = plain.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
        assert_eq!(format, 3);
    }
}

#[tokio::test]
async fn writers_do_without_turns_where_there_are_none() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()).await);
    // Nothing can be locked in its place, and nothing be made there.
    let lock = home.path().join("state/kugetsu.db.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("/proc/no/such/place", &lock).unwrap();
    enqueue(&open(home.path()).await, &task(0)).await;
    fs::remove_file(&lock).unwrap();
    // Somebody holds it and does not move.
    let held = fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    enqueue(&open(home.path()).await, &task(1)).await;
    drop(held);
    assert_eq!(open(home.path()).await.list(&TaskQuery::all()).await.unwrap().len(), 2);
}

/// Has everything in the file itself and nothing in its log. Returns how long a page is.
fn settled(path: &Path) -> u32 {
    let plain = Connection::open(path).unwrap();
    plain.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let log = fs::metadata(path.with_extension("db-wal")).unwrap().len();
    assert_eq!(log, 0, "what was written before is in the file itself");
    plain.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_a_commit_writes_does_not_grow_with_the_tasks() {
    for count in [1, 3_000] {
        let home = tempfile::tempdir().unwrap();
        let mut contents = Contents::default();
        contents.tasks = (0..count).map(|n| serde_json::to_string(&task(n)).unwrap()).collect();
        SqliteStore::make(&file(home.path()), &contents).unwrap();
        let store = open(home.path()).await;
        enqueue(&store, &task(count)).await;
        let size = settled(&file(home.path()));
        enqueue(&store, &task(count + 1)).await;
        let log = fs::metadata(file(home.path()).with_extension("db-wal")).unwrap().len();
        let written = log / u64::from(size);
        // The two tables, the numbers that they gave, and an index each by which a task is found.
        assert!((1..=14).contains(&written), "{written} pages at {count} tasks");
    }
}
