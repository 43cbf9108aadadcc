//! Where everything is kept, and taking it elsewhere.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kugetsu_core::{SlotKey, SlotPool};
use kugetsu_queue::{Contents, FileSlots, JsonStore, SlotLimits, SqliteStore};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::desk::{Desk, ISSUE, initialised};

const TO_JSON: &[&str] = &["store", "convert", "--to", "json"];
const TO_SQLITE: &[&str] = &["store", "convert", "--to", "sqlite"];

/// A desk where a bit of everything is in the store.
fn filled() -> Desk {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt one ;; say done"]).done();
    desk.run(&[
        "queue",
        "enqueue",
        "example.com/acme/widgets#8",
        "it's \"next\"\n",
        "--key",
        "nightly",
    ])
    .done();
    desk.run(&["queue", "pause", "--reason", "lunch"]).done();
    desk.run(&["notify", "list"]).done();
    desk
}

/// What anybody can ask.
fn asked(desk: &Desk) -> Vec<Value> {
    let questions: [&[&str]; 4] = [
        &["list", "--all", "--json"],
        &["queue", "list", "--json"],
        &["queue", "stats", "--json"],
        &["notify", "list", "--all", "--json"],
    ];
    questions.map(|words| desk.run(words).done().json()).into()
}

fn sqlite(desk: &Desk) -> Contents {
    block_on(async {
        let store = SqliteStore::open(desk.kugetsu("kugetsu.db")).await.unwrap();
        store.contents().await.unwrap()
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// The names of files at the top, but for those that come and go.
fn names(desk: &Desk) -> Vec<String> {
    let entries = fs::read_dir(desk.kugetsu("")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.contains("kugetsu.db") || name.contains("journal")).collect();
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    names
}

#[test]
fn everything_is_taken_along_there_and_back_and_the_settings_keep_their_comments() {
    let desk = filled();
    let config = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    let (before, contents) = (asked(&desk), sqlite(&desk));
    let there = desk.run(TO_JSON);
    assert!(!desk.kugetsu("kugetsu.db").exists());
    assert_eq!(asked(&desk), before);
    assert!(desk.kugetsu("index.json").exists());
    let changed = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    assert_eq!(changed.replace("store = \"json\"\n", ""), config);
    assert!(
        changed.contains("(KUGETSU_STORE)\n# store = \"sqlite\"\nstore = \"json\"\n"),
        "{changed}"
    );

    let again = desk.run(TO_JSON);
    let back = desk.run(TO_SQLITE);
    assert_eq!(asked(&desk), before);
    assert!(sqlite(&desk) == contents);
    assert!(!desk.kugetsu("journal.jsonl").exists() && !desk.kugetsu("index.json").exists());
    let third = desk.run(&[TO_JSON, &["--json"]].concat()).done().json();
    assert_eq!((third["store"].as_str(), third["tasks"].as_u64()), (Some("json"), Some(2)));
    assert!(fs::exists(third["kept"].as_str().unwrap()).unwrap(), "{third}");
    let fourth = desk.run(&[TO_JSON, &["--json"]].concat()).done().json();
    assert_eq!(fourth, serde_json::json!({ "store": "json", "converted": false }));
    // The issue goes on in its session.
    desk.run(&["queue", "resume"]).done();
    let continued = desk.run(&["continue", ISSUE, "MODEL: history"]).done();
    assert!(continued.err.contains("users=3"), "{}", continued.shown());
    let seen = [there, again, back].map(|ran| ran.shown()).join("\n");
    desk.assert("store-convert", &stamped(&seen));
}

/// Without the time at which a store was put aside.
fn stamped(seen: &str) -> String {
    let parts = seen.split("-20").enumerate().map(|(number, part)| match part.split_once('Z') {
        Some((_, rest)) if number > 0 => format!("-<time>{rest}"),
        _ if number > 0 => format!("-20{part}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

#[test]
fn nothing_is_converted_while_anybody_works() {
    let desk = filled();
    let before = sqlite(&desk);
    let (slots, limits) = (desk.kugetsu("slots"), SlotLimits::new(3));
    let mut seen = Vec::new();
    for key in [SlotKey::Dev, SlotKey::Pm] {
        let pool = FileSlots::open(&slots, limits).unwrap();
        let slot = block_on(pool.try_acquire(&key, "a test")).unwrap().unwrap();
        seen.push(desk.run(TO_JSON).shown());
        drop(slot);
    }
    let daemon = Daemon::started(&desk, &[]);
    let ran = desk.run(TO_JSON);
    assert_eq!(ran.code, 2, "{}", ran.shown());
    assert!(ran.err.contains("the daemon is running: process "), "{}", ran.shown());
    drop(daemon);
    // Whatever is said elsewhere comes before config.toml, and would go on saying it.
    seen.push(desk.run(&[TO_JSON, &["--config", "store=sqlite"]].concat()).shown());
    let desk = desk.with("KUGETSU_STORE", "sqlite");
    seen.push(desk.run(TO_JSON).shown());
    desk.assert("store-refused", &seen.join("\n"));
    assert!(sqlite(&desk) == before);
    assert_eq!(names(&desk), ["kugetsu.db", "kugetsu.db.lock"]);
}

#[test]
fn a_store_that_holds_something_else_is_never_overwritten() {
    let desk = filled();
    // As a conversion has left it that was killed before the settings were changed.
    JsonStore::make(&desk.kugetsu(""), &sqlite(&desk)).unwrap();
    desk.run(&["queue", "resume"]).done();
    let journal = fs::read(desk.kugetsu("journal.jsonl")).unwrap();
    let refused = desk.run(TO_JSON);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    assert!(refused.err.contains("journal.jsonl is there already"), "{}", refused.shown());
    assert!(refused.err.contains("hint: move it away, and convert again"), "{}", refused.shown());
    assert_eq!(fs::read(desk.kugetsu("journal.jsonl")).unwrap(), journal);
    fs::remove_file(desk.kugetsu("journal.jsonl")).unwrap();
    // The same is no obstacle.
    JsonStore::make(&desk.kugetsu(""), &sqlite(&desk)).unwrap();
    let before = asked(&desk);
    desk.run(TO_JSON).done();
    assert_eq!(asked(&desk), before);
}

#[test]
fn whenever_a_conversion_is_killed_everything_is_there_and_it_can_be_done_again() {
    let desk = filled();
    let before = asked(&desk);
    let convert = |to: &str| {
        Command::new(env!("CARGO_BIN_EXE_kugetsu"))
            .args(["store", "convert", "--to", to])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", desk.path("home"))
            .env("KUGETSU_DIR", desk.kugetsu(""))
            .current_dir(desk.path("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let began = Instant::now();
    assert!(convert("json").wait().unwrap().success());
    let whole = began.elapsed();
    let (mut killed, mut to) = (0, "sqlite");
    for part in 1..=16 {
        let began = Instant::now();
        let mut child = convert(to);
        while began.elapsed() < whole.mul_f64(f64::from(part) / 16.0) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal() == Some(9));
        assert_eq!(asked(&desk), before, "killed after {part}/16 on the way to {to}");
        // Whatever it has left, the next one comes through.
        let other = if to == "json" { "sqlite" } else { "json" };
        put_aside(&desk, other);
        let done = desk.run(&["store", "convert", "--to", to]);
        assert_eq!(done.code, 0, "{part}/16: {}", done.shown());
        assert_eq!(asked(&desk), before, "converted to {to} after a kill at {part}/16");
        to = other;
    }
    assert!(killed > 4, "{killed} were killed in time");
    assert!(began.elapsed() < Duration::from_mins(5));
}

/// What a person does where the old store is still there beside the one that is used.
fn put_aside(desk: &Desk, old: &str) {
    let listed = desk.run(&["config", "list", "--json"]).done().json();
    let store = listed["settings"].as_array().unwrap().iter().find(|s| s["key"] == "store");
    let (old_file, is_used) = match old {
        "json" => ("journal.jsonl", store.unwrap()["value"] == "json"),
        _ => ("kugetsu.db", store.unwrap()["value"] == "sqlite"),
    };
    if !is_used && desk.kugetsu(old_file).exists() {
        fs::remove_file(desk.kugetsu(old_file)).unwrap();
    }
}
