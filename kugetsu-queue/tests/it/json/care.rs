//! A journal that is gone, was cut short or is damaged: never an empty store, and mended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kugetsu_core::{
    Cursor, Event, EventLog, Expected, Happening, MemoStore, Notice, Notifier, SessionStore,
    StoreError, TaskId, TaskQuery, TaskStore, Timestamp,
};
use kugetsu_queue::JsonStore;
use kugetsu_queue::care::FileFault;
use kugetsu_queue::json::care::{self, Examined};

use super::open;
use crate::stores::{enqueue, now, session, task};

const TASKS: u64 = 30;

fn state(home: &Path) -> PathBuf {
    home.join("state")
}

fn file(home: &Path) -> PathBuf {
    state(home).join("journal.jsonl")
}

/// A bit of everything: a line each.
async fn filled(home: &Path) -> JsonStore {
    let store = open(home).await;
    for number in 0..TASKS {
        enqueue(&store, &task(number)).await;
    }
    store.put(&session(), Expected::Absent).await.unwrap();
    store.set_memo("cursor/inbox", Some("7")).await.unwrap();
    let notice = Notice::of(&task(0).enqueued(now()), Cursor(1)).unwrap();
    store.notify(&notice).await.unwrap();
    store
}

/// The files that people look at.
fn shown(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for inside in ["", "queue/items", "sessions"] {
        let Ok(entries) = fs::read_dir(directory.join(inside)) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|end| end == "json") {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

async fn refused(home: &Path) -> String {
    let error = JsonStore::open(state(home)).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_journal_that_was_made_and_is_gone_is_no_new_one_and_comes_back_whole() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let (contents, before) = (store.contents().await.unwrap(), shown(&state(home.path())));
    assert_eq!(before.len(), usize::try_from(TASKS).unwrap() + 3);
    // Whichever of the files beside it goes as well.
    for also in [None, Some(".lock"), Some(".view")] {
        fs::remove_file(file(home.path())).unwrap();
        if let Some(end) = also {
            fs::remove_file(state(home.path()).join(format!("journal.jsonl{end}"))).unwrap();
        }
        let words = refused(home.path()).await;
        assert!(words.contains("is gone"), "{words}");
        assert!(words.contains("restore the file from a backup"), "{words}");
        assert!(words.contains(&file(home.path()).display().to_string()), "{words}");
        assert!(!file(home.path()).exists());
        assert_eq!(care::examine(&state(home.path())).fault, Some(FileFault::Gone));
        assert!(shown(&state(home.path())) == before, "{also:?}: what people see was changed");

        let done = care::salvage(&state(home.path()), "now").unwrap();
        assert_eq!((done.kept, &done.lost[..], done.tasks), (None, &[][..], TASKS), "{also:?}");
        assert_eq!(care::examine(&state(home.path())), Examined::default());
        let store = open(home.path()).await;
        assert!(store.contents().await.unwrap() == contents, "{also:?}");
        assert!(shown(&state(home.path())) == before, "{also:?}");
    }
    enqueue(&open(home.path()).await, &task(TASKS)).await;
}

#[tokio::test]
async fn of_a_journal_that_is_gone_altogether_only_what_people_saw_is_kept() {
    let home = tempfile::tempdir().unwrap();
    drop(filled(home.path()).await);
    let before = shown(&state(home.path()));
    fs::remove_file(file(home.path())).unwrap();
    fs::remove_file(state(home.path()).join("journal.jsonl.spare")).unwrap();
    refused(home.path()).await;
    let done = care::salvage(&state(home.path()), "now").unwrap();
    assert_eq!((done.kept, done.tasks, done.lost.len()), (None, 0, 2));
    assert!(done.lost[1].contains("journal.jsonl.shown-now"), "{:?}", done.lost);
    assert!(shown(&state(home.path()).join("journal.jsonl.shown-now")) == before);
    enqueue(&open(home.path()).await, &task(1)).await;

    // Whoever wants to begin anew moves everything away that has its name.
    for entry in fs::read_dir(state(home.path())).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_name().to_string_lossy().starts_with("journal.jsonl") {
            fs::rename(entry.path(), home.path().join(entry.file_name())).unwrap();
        }
    }
    assert_eq!(care::examine(&state(home.path())), Examined::default());
    let store = open(home.path()).await;
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap(), []);
    enqueue(&store, &task(2)).await;
}

#[tokio::test]
async fn wherever_a_journal_was_cut_it_is_noticed_and_what_is_left_is_saved() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    let contents = store.contents().await.unwrap();
    let whole = fs::read(file(home.path())).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let records = ends.len() - 1;
    let mark = fs::read(state(home.path()).join("journal.jsonl.lock")).unwrap();
    let between = (0..whole.len()).step_by(997);
    // And before and behind some line breaks.
    let at_ends = ends.iter().step_by(6).flat_map(|end| [*end, end + 1]);
    for length in between.chain(at_ends).filter(|length| *length < whole.len()) {
        fs::write(file(home.path()), &whole[..length]).unwrap();
        // Nothing else is there of what was cut off.
        fs::remove_file(state(home.path()).join("journal.jsonl.spare")).unwrap();
        fs::write(state(home.path()).join("journal.jsonl.lock"), &mark).unwrap();
        let words = refused(home.path()).await;
        let left = ends.iter().filter(|end| **end < length).count() as u64;
        let told = match left {
            0 => "not a journal of kugetsu".into(),
            left => format!("it ends with record {}, and {records} were written", left - 1),
        };
        assert!(words.contains(&told), "{length}: {words}");
        assert_eq!(fs::read(file(home.path())).unwrap(), whole[..length]);
        let fault = care::examine(&state(home.path())).fault;
        assert!(matches!(fault, Some(FileFault::Damaged { .. })), "{length}: {fault:?}");

        let done = care::salvage(&state(home.path()), "now").unwrap();
        // A line that has lost no more than its line break is whole.
        let lines = ends.iter().filter(|end| **end <= length).count() as u64;
        let kept = lines.saturating_sub(1).min(TASKS);
        assert_eq!((done.tasks, done.lost.len()), (kept, 2), "{length}: {done:?}");
        assert_eq!(fs::read(done.kept.unwrap()).unwrap(), whole[..length]);
        let store = open(home.path()).await;
        // Whoever has read the log to its end misses nothing that comes now.
        let events = store.read(Cursor(0), 99).await.unwrap();
        assert!(events.len() as u64 >= TASKS, "{length}: {} events", events.len());
        let found = store.contents().await.unwrap();
        let real = usize::try_from(kept).unwrap();
        assert_eq!(found.tasks, contents.tasks[..real]);
        assert_eq!(found.events[..real], contents.events[..real]);
        assert!(found.events[real..].iter().all(|event| event.contains("unreadable")));
        for entry in fs::read_dir(state(home.path())).unwrap().map(|entry| entry.unwrap()) {
            if ["damaged", "shown"]
                .iter()
                .any(|end| entry.file_name().to_string_lossy().contains(end))
            {
                let _ = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
            }
        }
    }
}

#[tokio::test]
async fn of_a_damaged_journal_everything_is_saved_but_the_damaged_lines() {
    let home = tempfile::tempdir().unwrap();
    let store = filled(home.path()).await;
    store.set_memo("cursor/far", Some("500")).await.unwrap();
    let contents = store.contents().await.unwrap();
    drop(store);
    let whole = fs::read(file(home.path())).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let mark = fs::read(state(home.path()).join("journal.jsonl.lock")).unwrap();
    let flipped = |number: usize| {
        let mut lines: Vec<Vec<u8>> = lines.iter().map(|line| line.to_vec()).collect();
        lines[number][20] ^= 4;
        lines.concat()
    };
    let without = |number: usize| [lines[..number].concat(), lines[number + 1..].concat()].concat();
    let swapped = [&lines[..5], &[lines[6], lines[5]], &lines[7..]].concat().concat();
    let mut joined = without(9);
    joined.splice(0..0, b"\0\0\0".iter().copied());
    // What is done to it, and which tasks are lost.
    let ways: [(&str, Vec<u8>, &[u64], &str); 6] = [
        ("a bit of its first line is flipped", flipped(0), &[], ""),
        ("a bit in the middle is flipped", flipped(5), &[4], "1 change (record 5)"),
        ("a line in the middle is missing", without(9), &[8], "1 change (record 9)"),
        ("two lines are swapped", swapped, &[], ""),
        ("its beginning and a line are broken", joined, &[8], "1 change (record 9)"),
        ("it is something else", b"the diary of a madman\n".repeat(9), &[], "changes (record 1 to"),
    ];
    for (name, damaged, lost, told) in ways {
        fs::write(file(home.path()), &damaged).unwrap();
        let _ = fs::remove_file(state(home.path()).join("journal.jsonl.spare"));
        fs::write(state(home.path()).join("journal.jsonl.lock"), &mark).unwrap();
        refused(home.path()).await;
        let done = care::salvage(&state(home.path()), "now").unwrap();
        assert_eq!(fs::read(done.kept.unwrap()).unwrap(), damaged, "{name}");
        assert_eq!(care::examine(&state(home.path())), Examined::default(), "{name}");
        let store = open(home.path()).await;
        let found = store.contents().await.unwrap();
        if damaged.starts_with(b"the diary") {
            assert_eq!((found.tasks.len(), found.sessions.len()), (0, 0));
            assert!(done.lost[0].contains(told), "{name}: {:?}", done.lost);
            continue;
        }
        let is_lost = |id: TaskId| lost.iter().any(|number| task(*number).id == id);
        let tasks: Vec<TaskId> = (0..TASKS).map(|number| task(number).id).collect();
        let left: Vec<TaskId> = tasks.into_iter().filter(|id| !is_lost(*id)).collect();
        let listed = store.list(&TaskQuery::all()).await.unwrap();
        assert_eq!(listed.iter().map(|task| task.id).collect::<Vec<_>>(), left, "{name}");
        assert!(done.lost.first().map_or("", String::as_str).starts_with(told), "{:?}", done.lost);
        assert_eq!(done.lost.is_empty(), told.is_empty(), "{name}: {:?}", done.lost);
        assert_eq!(
            (found.sessions, found.notices),
            (contents.sessions.clone(), contents.notices.clone())
        );
        // Those that are there are where they were.
        for (number, event) in contents.events.iter().enumerate() {
            let is_gone = lost.contains(&(number as u64));
            assert!(is_gone || *event == found.events[number], "{name}: event {number}");
        }
        let event =
            Event::new(Timestamp::from_millis(9), task(0).id, None, Happening::CancelRequested);
        assert_eq!(store.append(&[event]).await.unwrap(), Cursor(501), "{name}");
    }
}

#[tokio::test]
async fn a_change_whose_predecessor_is_lost_is_taken_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    let length = fs::metadata(file(home.path())).unwrap().len();
    let (taken, told) = crate::stores::claimed(&task(0), "here-0");
    store.commit(&taken, Expected::At(task(0).revision), &[told]).await.unwrap();
    drop(store);
    let mut journal = fs::read(file(home.path())).unwrap();
    journal[usize::try_from(length).unwrap() - 9] ^= 1;
    fs::write(file(home.path()), journal).unwrap();
    refused(home.path()).await;
    let done = care::salvage(&state(home.path()), "now").unwrap();
    assert_eq!((done.tasks, done.events), (1, 2), "{done:?}");
    let found = TaskStore::load(&open(home.path()).await, task(0).id).await.unwrap();
    assert_eq!(found, Some(taken));
}

#[tokio::test]
async fn what_a_dead_writer_has_left_is_told_and_each_of_it_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    let directory = state(home.path());
    let tear = |piece: &str| {
        use std::io::Write as _;
        let journal = fs::OpenOptions::new().append(true).open(file(home.path()));
        journal.unwrap().write_all(piece.as_bytes()).unwrap();
    };
    tear("{\"seq\":1,\"rec");
    let lock = fs::File::open(directory.join("journal.jsonl.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(care::examine(&directory), Examined::default(), "somebody is writing it");
    lock.unlock().unwrap();
    let examined = care::examine(&directory);
    assert_eq!((examined.fault, examined.torn, examined.kept), (None, 13, None));
    let kept = care::cut(&directory).unwrap();
    let examined = care::examine(&directory);
    assert_eq!((examined.fault, examined.torn, examined.kept), (None, 0, Some(kept.clone())));
    enqueue(&store, &task(0)).await;
    tear("{\"s");
    enqueue(&store, &task(1)).await;
    assert_eq!(fs::read_to_string(kept).unwrap(), "{\"seq\":1,\"rec\n{\"s");
    assert_eq!(store.list(&TaskQuery::all()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_journal_of_before_there_were_marks_is_read_and_marked() {
    let home = tempfile::tempdir().unwrap();
    drop(filled(home.path()).await);
    let lock = state(home.path()).join("journal.jsonl.lock");
    let mark = fs::read(&lock).unwrap();
    fs::write(&lock, "").unwrap();
    fs::remove_file(state(home.path()).join("journal.jsonl.spare")).unwrap();
    drop(open(home.path()).await);
    assert_eq!(fs::read(&lock).unwrap(), mark);
    fs::remove_file(file(home.path())).unwrap();
    refused(home.path()).await;
    assert_eq!(care::salvage(&state(home.path()), "now").unwrap().tasks, TASKS);
}
