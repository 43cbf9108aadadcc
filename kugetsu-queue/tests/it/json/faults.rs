//! What the disk may do.

use std::fs;

use kugetsu_core::{Expected, MemoStore, TaskQuery, TaskStore};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::open;
use crate::process::{Other, say, told};
use crate::stores::{enqueue, task};

/// Writes until nothing more fits, and says what it was told then and how much there is.
pub(crate) async fn narrow(home: &std::path::Path) {
    let store = open(home).await;
    enqueue(&store, &task(0)).await;
    let length = || fs::metadata(home.join("state/journal.jsonl")).unwrap().len();
    // Without a handler the signal would end the process.
    let _signal = signal(SignalKind::from_raw(libc_sigxfsz())).unwrap();
    let limit = Some(length() + 1000);
    setrlimit(Resource::Fsize, Rlimit { current: limit, maximum: None }).unwrap();
    let before = length();
    let error = store.set_memo("long", Some(&"long ".repeat(1000))).await.unwrap_err();
    say(&error.to_string().replace('\n', " "));
    say(&(length() == before).to_string());
    // What is small enough goes on.
    store.set_memo("short", Some("text")).await.unwrap();
    assert!(store.commit(&task(0), Expected::Absent, &[]).await.is_err());
    say(&store.memo("long").await.unwrap().is_none().to_string());
    told();
}

/// `SIGXFSZ`: on Linux it has this number everywhere but on MIPS.
fn libc_sigxfsz() -> i32 {
    25
}

#[tokio::test]
async fn what_does_not_fit_leaves_nothing_behind_and_is_told() {
    let home = tempfile::tempdir().unwrap();
    let mut narrow = Other::start("json-narrow", home.path());
    let words = narrow.hear().unwrap();
    assert!(words.contains("could not write memo long: "), "{words}");
    assert!(words.contains("File too large"), "{words}");
    assert_eq!(narrow.hear().unwrap(), "true", "half a line is left");
    assert_eq!(narrow.hear().unwrap(), "true", "what was refused is remembered");
    narrow.end();
    let store = open(home.path()).await;
    assert_eq!(store.memos("").await.unwrap(), [("short".into(), "text".into())]);
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 1);
    assert!(!home.path().join("state/journal.jsonl.torn").exists());
}
