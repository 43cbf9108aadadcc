//! The store in readable files, with the real opencode.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use super::daemon::{Daemon, enqueue, outcome, task};
use super::house::{House, issue};

async fn json(house: &House, words: &[&str]) -> Value {
    let ran = house.run(&[words, &["--json"]].concat()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_readable_files_everything_works_and_goes_on_in_a_database() {
    let house = House::with_config("# mine\nstore = \"json\" # readable\n").await;
    let started = house.run(&["start", "--json", &issue(1), "MODEL: say first"]).await;
    assert_eq!(started.answer(), "first");
    let mut daemon = Daemon::start(&house).await;
    let queued = enqueue(&house, 1, "MODEL: history").await;
    daemon.hear("completed", 1).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let done = task(&house, &queued).await;
    assert_eq!(outcome(&done), "completed", "{done}");
    let answer = done["state"]["outcome"]["report"]["answer"].as_str().unwrap();
    assert!(answer.contains("users=3 assistants=1"), "it is another conversation: {answer}");

    assert!(!house.directory().join("kugetsu.db").exists());
    let shown = house.directory().join(format!("queue/items/q_{queued}.json"));
    let shown: Value = serde_json::from_slice(&fs::read(shown).unwrap()).unwrap();
    assert_eq!((&shown["state"], &shown["issue_ref"]), (&"completed".into(), &issue(1).into()));
    let index = fs::read(house.directory().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let file = index["issues"][issue(1)].as_str().unwrap();
    let session = fs::read(house.directory().join("sessions").join(file)).unwrap();
    let session: Value = serde_json::from_slice(&session).unwrap();
    assert_eq!(session["opencode_session_id"], started.session().as_str());

    let asked = async || {
        let (list, queue) =
            (json(&house, &["list", "--all"]).await, json(&house, &["queue", "list"]).await);
        (list, queue, json(&house, &["notify", "list", "--all"]).await)
    };
    let before = asked().await;
    assert_eq!(json(&house, &["store", "convert", "--to", "sqlite"]).await["tasks"], 2);
    assert_eq!(asked().await, before);
    let config = fs::read_to_string(house.directory().join("config.toml")).unwrap();
    assert_eq!(config, "# mine\nstore = \"sqlite\" # readable\n");
    let again = house.run(&["continue", "--json", &issue(1), "MODEL: say third"]).await;
    assert_eq!((again.answer(), again.session()), ("third".into(), started.session()));
}
