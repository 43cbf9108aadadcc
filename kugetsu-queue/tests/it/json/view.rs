//! The original's layout, as a view.

use std::fs;
use std::path::Path;

use kugetsu_core::{
    Change, Cursor, Expected, Failure, Notice, Notifier, Retry, Revision, SessionStore, TaskStore,
};
use kugetsu_queue::JsonStore;
use kugetsu_queue::inbox::Inbox;
use serde_json::{Value, json};

use super::open;
use crate::stores::{claimed, enqueue, now, session, task};

fn shown(home: &Path, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(home.join("state").join(name)).unwrap()).unwrap()
}

fn task_file(number: u64) -> String {
    format!("queue/items/q_{}.json", task(number).id)
}

async fn failed(store: &JsonStore, number: u64) {
    let (taken, _) = claimed(&task(number), "here-0");
    store.commit(&taken, Expected::At(Revision(1)), &[]).await.unwrap();
    let failure = Failure::new("it is \u{1b}[31mred", Retry::Never);
    let settle = Change::Settle {
        attempt: taken.last_attempt(),
        outcome: kugetsu_core::Outcome::Error { failure },
        usage: kugetsu_core::Usage::default(),
    };
    let (settled, _) = taken.apply(settle, now()).unwrap();
    store.commit(&settled, Expected::At(Revision(2)), &[]).await.unwrap();
}

#[tokio::test]
async fn the_view_is_the_originals_layout() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    assert_eq!(shown(home.path(), "notifications.json"), json!([]));
    enqueue(&store, &task(0)).await;
    store.put(&session(), Expected::Absent).await.unwrap();
    let notice = Notice::of(&task(0).enqueued(now()), Cursor(1)).unwrap();
    store.notify(&notice).await.unwrap();
    let file = json!({
        "view_of": "journal.jsonl",
        "id": format!("q_{}", task(0).id),
        "state": "pending",
        "issue_ref": "github.com/acme/widgets#1",
        "message": "Fix it.",
        "priority": 0,
        "created_at": "2026-01-01T00:00:00Z",
        "notified_at": null,
        "completed_at": null,
        "attempts": 0,
        "max_attempts": 3,
        "error": null,
    });
    assert_eq!(shown(home.path(), &task_file(0)), file);
    failed(&store, 0).await;
    let file = shown(home.path(), &task_file(0));
    assert_eq!(
        (&file["state"], &file["error"], &file["attempts"], &file["completed_at"]),
        (&json!("error"), &json!("it is \u{1b}[31mred"), &json!(1), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(
        shown(home.path(), "index.json"),
        json!({
            "view_of": "journal.jsonl",
            "base": null,
            "pm_agent": null,
            "issues": { "github.com/acme/widgets#1": "github.com-acme-widgets-1.json" },
            "repositories": {},
        })
    );
    let file = shown(home.path(), "sessions/github.com-acme-widgets-1.json");
    assert_eq!((&file["type"], &file["state"]), (&json!("forked"), &json!("idle")));
    let entry = json!({
        "view_of": "journal.jsonl",
        "id": "event-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "type": "task_queued",
        "message": "github.com/acme/widgets#1 was queued.",
        "issue_ref": "github.com/acme/widgets#1",
        "read": false,
    });
    assert_eq!(shown(home.path(), "notifications.json"), json!([entry]));
    store.mark_read(&["event-1".into()]).await.unwrap();
    assert_eq!(shown(home.path(), "notifications.json")[0]["read"], true);

    TaskStore::remove(&store, task(0).id, Revision(3)).await.unwrap();
    SessionStore::remove(&store, session().id).await.unwrap();
    assert!(!home.path().join("state").join(task_file(0)).exists());
    assert_eq!(fs::read_dir(home.path().join("state/sessions")).unwrap().count(), 0);
    assert_eq!(shown(home.path(), "index.json")["issues"], json!({}));
}

#[tokio::test]
async fn a_view_that_was_not_written_is_made_up_for_and_nobody_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).await;
    for number in 0..3 {
        enqueue(&store, &task(number)).await;
    }
    let state = home.path().join("state");
    // As if its writer had died between the journal and the view.
    let mark = state.join("journal.jsonl.view");
    let mend = |lie: &str| {
        fs::write(&mark, lie).unwrap();
        let edited = fs::read_to_string(state.join(task_file(0))).unwrap();
        fs::write(state.join(task_file(0)), edited.replace("pending", "completed")).unwrap();
        fs::remove_file(state.join(task_file(1))).unwrap();
        let left_over = fs::read_to_string(state.join(task_file(2))).unwrap();
        fs::write(state.join("queue/items/q_gone.json"), left_over).unwrap();
        fs::write(state.join("queue/items/q_gone.json.new"), "{").unwrap();
    };
    let assert_mended = |tasks: usize| {
        assert_eq!(shown(home.path(), &task_file(0))["state"], "pending");
        assert_eq!(fs::read_dir(state.join("queue/items")).unwrap().count(), tasks);
    };
    mend("0 1\n");
    assert_eq!(TaskStore::load(&store, task(0).id).await.unwrap().unwrap(), task(0));
    drop(open(home.path()).await);
    assert_mended(3);
    mend("");
    enqueue(&store, &task(3)).await;
    assert_mended(4);
}

#[tokio::test]
async fn what_is_not_the_views_is_neither_overwritten_nor_removed() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    fs::create_dir_all(state.join("sessions")).unwrap();
    fs::create_dir_all(state.join("queue/items")).unwrap();
    let theirs = [
        ("index.json", r#"{"base": "ses_1", "issues": {}}"#),
        ("notifications.json", r#"[{"type": "task_complete"}]"#),
        ("sessions/github.com-acme-widgets-1.json", r#"{"state": "idle"}"#),
        ("queue/items/q_1234567890.json", r#"{"state": "pending"}"#),
        ("queue/items/note.txt", "\"view_of\": \"journal.jsonl\""),
    ];
    for (name, text) in theirs {
        fs::write(state.join(name), text).unwrap();
    }
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    store.put(&session(), Expected::Absent).await.unwrap();
    store.notify(&Notice::of(&task(0).enqueued(now()), Cursor(1)).unwrap()).await.unwrap();
    drop(open(home.path()).await);
    store.hand_over(".kept", |_| Ok::<_, ()>(())).await.unwrap().unwrap();
    for (name, text) in theirs {
        assert_eq!(fs::read_to_string(state.join(name)).unwrap(), text, "{name}");
    }
    assert!(!state.join(task_file(0)).exists());
}

#[tokio::test]
async fn a_view_that_cannot_be_written_fails_nothing() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    fs::create_dir_all(state.join("queue")).unwrap();
    fs::write(state.join("queue/items"), "a file in the place of a directory").unwrap();
    let store = open(home.path()).await;
    enqueue(&store, &task(0)).await;
    fs::remove_file(state.join("queue/items")).unwrap();
    enqueue(&store, &task(1)).await;
    assert_eq!(shown(home.path(), &task_file(0))["state"], "pending");
}
