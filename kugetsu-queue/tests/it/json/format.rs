//! The journal: whose it is, which format it has, and what is done about damage.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use kugetsu_core::{
    Cursor, EventLog, Expected, MemoStore, Notice, Notifier, Retry, SessionStore, StoreError,
    TaskQuery, TaskStore,
};
use kugetsu_queue::JsonStore;
use kugetsu_queue::inbox::{Inbox, Notices};

use super::open;
use crate::stores::{claimed, enqueue, session, task};

fn file(home: &Path) -> PathBuf {
    home.join("state/journal.jsonl")
}

async fn list(home: &Path) -> Result<usize, StoreError> {
    let store = JsonStore::open(home.join("state")).await?;
    Ok(store.list(&TaskQuery::all()).await?.len())
}

async fn damage(home: &Path) -> String {
    match list(home).await {
        Err(error @ StoreError::Damaged { .. }) => {
            assert_eq!(error.retry(), Retry::Never);
            let words = error.to_string();
            assert!(words.starts_with(&file(home).display().to_string()), "{words}");
            assert!(words.contains("restore the file from a backup"), "{words}");
            words
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_store_is_for_its_owner_only() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let mut names = vec![];
    let mut directories = vec![home.path().join("state")];
    while let Some(directory) = directories.pop() {
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                continue;
            }
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o600, "{name}");
            names.push(name);
        }
    }
    names.sort();
    let task = format!("q_{}.json", task(0).id);
    let journal = ["", ".lock", ".spare", ".view"].map(|end| format!("journal.jsonl{end}"));
    let expected = [&["index.json".into()][..], &journal, &["notifications.json".into(), task]];
    assert_eq!(names, expected.concat());
}

/// One of each record.
async fn one_of_each(store: &JsonStore) {
    enqueue(store, &task(0)).await;
    let (taken, told) = claimed(&task(0), "here-0");
    store
        .commit(&taken, Expected::At(task(0).revision), std::slice::from_ref(&told))
        .await
        .unwrap();
    enqueue(store, &task(1)).await;
    TaskStore::remove(store, task(1).id, task(1).revision).await.unwrap();
    store.append(std::slice::from_ref(&told)).await.unwrap();
    store.put(&session(), Expected::Absent).await.unwrap();
    store.put(&session(), Expected::At(kugetsu_core::Revision(1))).await.unwrap();
    store.set_memo("cursor/inbox", Some("2")).await.unwrap();
    let notice = Notice::of(&told, Cursor(2)).unwrap();
    store.notify(&notice).await.unwrap();
    store.mark_read(&[notice.key]).await.unwrap();
    SessionStore::remove(store, session().id).await.unwrap();
}

#[tokio::test]
async fn a_journal_is_written_as_ever() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    one_of_each(&store).await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal-1.jsonl");
    let written = fs::read_to_string(file(home.path())).unwrap();
    assert_eq!(written, fs::read_to_string(&golden).unwrap());
    // And what was written once is read for ever.
    let other = tempfile::tempdir().unwrap();
    fs::create_dir(other.path().join("state")).unwrap();
    fs::copy(&golden, file(other.path())).unwrap();
    let read = open(other.path()).await;
    assert_eq!(read.contents().await.unwrap(), store.contents().await.unwrap());
    assert_eq!(read.list(&TaskQuery::all()).await.unwrap().len(), 1);
    assert_eq!(read.read(Cursor(0), 9).await.unwrap().len(), 4);
    assert!(read.notices(Notices::Unread).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let newer = "{\"format\":\"kugetsu.journal/1000\",\"whatever\":\"comes\"}\nmore\n";
    let beside = home.path().join("state/newer");
    fs::write(&beside, newer).unwrap();
    fs::rename(&beside, file(home.path())).unwrap();
    let check = |error: StoreError| match error {
        StoreError::NewerFormat { store, found: 1000, known: 1 } => {
            assert_eq!(store, file(home.path()).display().to_string());
        }
        other => panic!("{other:?}"),
    };
    check(list(home.path()).await.unwrap_err());
    // Also where it was open before it was converted.
    check(store.commit(&task(1), Expected::Absent, &[]).await.unwrap_err());
    check(store.list(&TaskQuery::all()).await.unwrap_err());
    assert_eq!(fs::read_to_string(file(home.path())).unwrap(), newer);
}

#[tokio::test]
async fn what_is_no_journal_is_neither_used_nor_changed() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("state")).unwrap();
    let foreign = ["", "\n", "This is the diary of a madman.\n", "{\"format\":\"song/1\"}\n"];
    for content in foreign.map(|text| text.repeat(100)) {
        fs::write(file(home.path()), &content).unwrap();
        damage(home.path()).await;
        assert_eq!(fs::read_to_string(file(home.path())).unwrap(), content);
    }
}

#[tokio::test]
async fn no_bit_flips_and_no_line_is_lost_unnoticed() {
    let home = tempfile::tempdir().unwrap();
    one_of_each(&open(home.path()).await).await;
    let path = file(home.path());
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    // Whoever reads must not notice less than whoever writes.
    let attempt = async || {
        let store = JsonStore::open(home.path().join("state")).await?;
        store.set_memo("new", Some("text")).await
    };
    for (number, _) in lines.iter().enumerate().rev() {
        let rest: Vec<&[u8]> =
            lines.iter().enumerate().filter(|(n, _)| *n != number).map(|(_, line)| *line).collect();
        fs::write(&path, rest.concat()).unwrap();
        let words = attempt().await.unwrap_err().to_string();
        let place = match number {
            0 => "not a journal".into(),
            last if last + 1 == lines.len() => format!("and {last} were written"),
            number => format!("line {}:", number + 1),
        };
        assert!(words.contains(&place), "without line {}: {words}", number + 1);
    }
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat();
    fs::write(&path, swapped.concat()).unwrap();
    assert!(damage(home.path()).await.contains("line 3: record 2 has to stand here"));
    // One bit of each seventh byte, and all of the last line.
    for at in (0..whole.len())
        .filter(|at| at % 7 == 0 || at + lines[lines.len() - 1].len() >= whole.len())
    {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let result = attempt().await;
        assert!(matches!(result, Err(StoreError::Damaged { .. })), "byte {at}: {result:?}");
        assert_eq!(fs::read(&path).unwrap(), flipped, "byte {at}");
    }
    fs::write(&path, &whole).unwrap();
    attempt().await.unwrap();
}

#[tokio::test]
async fn a_line_whose_writer_died_is_ignored_and_cut_off_by_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let reader = open(home.path()).await;
    enqueue(&reader, &task(0)).await;
    let whole = fs::read(file(home.path())).unwrap();
    enqueue(&reader, &task(1)).await;
    let line = fs::read(file(home.path())).unwrap().split_off(whole.len());
    for length in [1, 2, 10, line.len() / 2, line.len() - 1] {
        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join("state")).unwrap();
        fs::write(file(other.path()), [&whole, &line[..length]].concat()).unwrap();
        let store = open(other.path()).await;
        assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 1);
        assert_eq!(fs::metadata(file(other.path())).unwrap().size(), (whole.len() + length) as u64);
        enqueue(&store, &task(2)).await;
        let ids: Vec<_> =
            store.list(&TaskQuery::all()).await.unwrap().iter().map(|task| task.id).collect();
        assert_eq!(ids, [task(0).id, task(2).id], "{length}");
        let torn = fs::read(other.path().join("state/journal.jsonl.torn")).unwrap();
        assert_eq!(torn, line[..length]);
        assert_eq!(list(other.path()).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn what_a_process_has_seen_cannot_go_away_unnoticed() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let length = fs::metadata(file(home.path())).unwrap().size();
    enqueue(&store, &task(1)).await;
    fs::OpenOptions::new().write(true).open(file(home.path())).unwrap().set_len(length).unwrap();
    for _ in 0..2 {
        let error = store.list(&TaskQuery::all()).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("bytes, and had"), "{error}");
    }
    fs::remove_file(file(home.path())).unwrap();
    for _ in 0..2 {
        let error = store.commit(&task(2), Expected::Absent, &[]).await.unwrap_err();
        assert!(error.to_string().contains("not there any more"), "{error}");
    }
    assert!(!file(home.path()).exists(), "it would begin anew under whoever has moved it");
}

#[tokio::test]
async fn a_busy_store_is_worth_another_try_and_can_be_read() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let lock = fs::File::open(home.path().join("state/journal.jsonl.lock")).unwrap();
    lock.lock().unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.commit(&task(1), Expected::Absent, &[]).await }
    });
    // Reading goes on meanwhile, also for whoever opens it.
    assert_eq!(list(home.path()).await.unwrap(), 1);
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 1);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.retry(), Retry::Later, "{error}");
    lock.unlock().unwrap();
    enqueue(&store, &task(1)).await;
}

#[tokio::test]
async fn a_journal_that_is_mostly_outdated_is_rewritten_and_everybody_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (here, there) = (open(home.path()).await, open(home.path()).await);
    one_of_each(&here).await;
    enqueue(&here, &task(7)).await;
    let before = there.contents().await.unwrap();
    let inode = fs::metadata(file(home.path())).unwrap().ino();
    let long = "long ".repeat(20_000);
    let mut rounds = 0;
    while fs::metadata(file(home.path())).unwrap().ino() == inode {
        rounds += 1;
        assert!(rounds < 50, "it only grows");
        here.set_memo("long", Some(&format!("{rounds} {long}"))).await.unwrap();
    }
    assert!(rounds > 5, "it was rewritten too soon");
    assert!(fs::metadata(file(home.path())).unwrap().size() < 200_000);
    let first = fs::read_to_string(file(home.path())).unwrap();
    assert!(
        first.starts_with("{\"format\":\"kugetsu.journal/1\",\"generation\":1,"),
        "{first:.80}"
    );
    for store in [&there, &here, &open(home.path()).await] {
        let mut after = store.contents().await.unwrap();
        assert!(after.memos.iter().any(|(_, text)| *text == format!("{rounds} {long}")));
        after.memos.retain(|(name, _)| name != "long");
        assert!(after == before, "{after:?} was {before:?}");
    }
    // Each of them writes on.
    for (number, store) in [&here, &there].into_iter().enumerate() {
        enqueue(store, &task(20 + number as u64)).await;
    }
    assert_eq!(list(home.path()).await.unwrap(), 4);
    let names = fs::read_dir(home.path().join("state")).unwrap();
    assert!(names.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".new")));
}
