//! Where everything is kept, and taking it elsewhere.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kugetsu_cli::Terminals;
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
    // Somebody has gone on with what a killed conversion has left, and with the other one, too.
    JsonStore::make(&desk.kugetsu(""), &sqlite(&desk)).unwrap();
    desk.run(&["queue", "enqueue", ISSUE, "There.", "--config", "store=json"]).done();
    let journal = fs::read(desk.kugetsu("journal.jsonl")).unwrap();
    let refused = desk.run(TO_JSON);
    assert_eq!(refused.code, 1, "{}", refused.shown());
    assert!(refused.err.contains("journal.jsonl is there already"), "{}", refused.shown());
    assert!(
        refused.err.contains("hint: move it away, with the files beside it"),
        "{}",
        refused.shown()
    );
    assert_eq!(fs::read(desk.kugetsu("journal.jsonl")).unwrap(), journal);
    for name in names(&desk).iter().filter(|name| name.starts_with("journal")) {
        fs::remove_file(desk.kugetsu(name)).unwrap();
    }
    // The same is no obstacle.
    JsonStore::make(&desk.kugetsu(""), &sqlite(&desk)).unwrap();
    let before = asked(&desk);
    desk.run(TO_JSON).done();
    assert_eq!(asked(&desk), before);
}

#[test]
fn a_store_that_was_converted_is_not_begun_anew_and_it_is_told_where_everything_is() {
    let desk = filled();
    let mut seen = Vec::new();
    for (to, words) in [("json", TO_JSON), ("sqlite", TO_SQLITE)] {
        let (before, old) = (asked(&desk), if to == "json" { "sqlite" } else { "json" });
        desk.run(words).done();
        let config = fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
        let back = config.replace(&format!("\nstore = \"{to}\""), &format!("\nstore = \"{old}\""));
        assert_ne!(back, config);
        fs::write(desk.kugetsu("config.toml"), &back).unwrap();
        let ran = desk.run(&["queue", "list"]);
        assert_eq!(ran.code, 65, "{}", ran.shown());
        seen.push(ran.shown());
        // Not even the doctor begins anew.
        let fixed = desk.run(&["doctor", "--fix", "--json"]).json();
        let told = fixed["findings"].as_array().unwrap();
        let gone = told.iter().find(|finding| finding["check"] == "store.gone").unwrap();
        assert_eq!(gone["fixable"], false, "{gone}");
        assert!(gone["mend"].as_str().unwrap().contains("kugetsu store convert --to"), "{gone}");
        fs::write(desk.kugetsu("config.toml"), &config).unwrap();
        assert_eq!(asked(&desk), before);
    }
    desk.assert("store-set-back", &stamped(&seen.join("\n")));
}

#[test]
fn what_a_conversion_that_was_killed_has_left_is_told_and_in_nobodys_way() {
    let desk = filled();
    let read = |name: &str| fs::read(desk.kugetsu(name)).unwrap();
    let old = read("kugetsu.db");
    desk.run(TO_JSON).done();
    // As if it had been killed between the settings and the last step.
    fs::write(desk.kugetsu("kugetsu.db"), &old).unwrap();
    desk.run(&["queue", "resume"]).done();
    desk.run(&["start", ISSUE, "MODEL: say more"]).done();
    let before = asked(&desk);
    let told = desk.run(&["doctor"]).done();
    assert!(told.out.contains("store.two"), "{}", told.shown());
    desk.run(TO_SQLITE).done();
    assert_eq!(asked(&desk), before);
    let unused: Vec<String> =
        names(&desk).into_iter().filter(|name| name.contains(".unused-")).collect();
    assert_eq!(unused.len(), 1, "{unused:?}");
    assert_eq!(read(&unused[0]), old);
    assert!(!desk.run(&["doctor"]).done().out.contains("store.two"));
}

/// Does something when somebody reads from it, and says `Now.`.
struct Meanwhile<F>(Option<F>);

impl<F: FnOnce()> Read for Meanwhile<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(act) = self.0.take() else { return Ok(0) };
        act();
        buffer[..4].copy_from_slice(b"Now.");
        Ok(4)
    }
}

#[test]
fn whoever_meets_a_conversion_is_told_to_try_again() {
    let desk = filled();
    let enqueue = &["queue", "enqueue", ISSUE, "-"];
    for to in ["json", "sqlite"] {
        let before = desk.run(&["queue", "list", "--json"]).done().json();
        let mut convert = convert(&desk, to);
        let input = Meanwhile(Some(move || assert!(convert.status().unwrap().success())));
        let ran = desk.run_reading(enqueue, io::BufReader::new(input));
        assert_eq!(ran.code, 75, "{}", ran.shown());
        assert!(ran.err.contains("meanwhile\nhint: try again"), "{}", ran.shown());
        assert_eq!(desk.run(&["queue", "list", "--json"]).done().json(), before);
    }
    desk.run_with(enqueue, b"Now.", Terminals::default()).done();
}

/// The command as a process of its own.
fn convert(desk: &Desk, to: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
    command
        .args(["store", "convert", "--to", to])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", desk.path("home"))
        .env("KUGETSU_DIR", desk.kugetsu(""))
        .current_dir(desk.path("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_conversion_is_no_daemon() {
    let desk = filled();
    // It comes no further than to where it wants to write.
    let writer = rusqlite::Connection::open(desk.kugetsu("kugetsu.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut first = convert(&desk, "json").spawn().unwrap();
    let began = Instant::now();
    let note = || fs::read_to_string(desk.kugetsu("queue/daemon.lock")).unwrap_or_default();
    while note() != "kugetsu store convert" {
        assert!(began.elapsed() < Duration::from_mins(1), "it does not begin");
        std::thread::yield_now();
    }
    let seen = desk.transcript(&[TO_JSON, &["queue-daemon", "stop"], &["queue-daemon", "start"]]);
    assert!(seen.matches("is at work: process").count() == 2, "{seen}");
    let status = desk.run(&["queue-daemon", "status"]);
    assert_eq!(status.out, "The daemon does not run.\n", "{}", status.shown());
    writer.execute_batch("ROLLBACK").unwrap();
    drop(writer);
    assert!(first.wait().unwrap().success());
    assert!(!desk.kugetsu("queue/daemon.pid").exists(), "it is no daemon");
    desk.assert("store-convert-at-work", &seen);
}

#[test]
fn whenever_a_conversion_is_killed_everything_is_there_and_it_can_be_done_again() {
    let desk = filled();
    let before = asked(&desk);
    let began = Instant::now();
    assert!(convert(&desk, "json").status().unwrap().success());
    let whole = began.elapsed();
    let (mut killed, mut to) = (0, "sqlite");
    for part in 1..=16 {
        let began = Instant::now();
        let mut child = convert(&desk, to).spawn().unwrap();
        while began.elapsed() < whole.mul_f64(f64::from(part) / 16.0) {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += u32::from(child.wait().unwrap().signal() == Some(9));
        assert_eq!(asked(&desk), before, "killed after {part}/16 on the way to {to}");
        // Whatever it has left, the next one comes through.
        let done = desk.run(&["store", "convert", "--to", to]);
        assert_eq!(done.code, 0, "{part}/16: {}", done.shown());
        assert_eq!(asked(&desk), before, "converted to {to} after a kill at {part}/16");
        to = if to == "json" { "sqlite" } else { "json" };
    }
    assert!(killed > 4, "{killed} were killed in time");
    assert!(began.elapsed() < Duration::from_mins(5));
}
