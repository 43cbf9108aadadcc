//! The file: whose it is, which format it has, and what is done about damage.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kugetsu_core::{Retry, StoreError, TaskQuery, TaskStore};
use kugetsu_queue::SqliteStore;
use rusqlite::Connection;

use super::open;
use crate::stores::{enqueue, task};

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
    let write = store.commit(&new, kugetsu_core::Expected::Absent, &[]).await;
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
        async move { store.commit(&task(0), kugetsu_core::Expected::Absent, &[]).await }
    });
    // Reading goes on meanwhile.
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap(), []);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.retry(), Retry::Later, "{error}");
    other.execute_batch("COMMIT").unwrap();
    enqueue(&store, &task(0)).await;
}
