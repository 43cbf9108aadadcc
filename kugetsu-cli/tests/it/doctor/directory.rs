//! Directories, modes, settings, env files and what a daemon has left.

use std::fs;
use std::time::{Duration, SystemTime};

use super::breakage::Fate::{Mended, Told};
use super::breakage::{check, ids, mode, set_mode, sql, worked};
use crate::desk::{ISSUE, desk};

#[test]
fn what_others_can_read_is_closed_to_them() {
    let strange = "opencode.db";
    for (inside, loose, tight) in [
        ("", 0o755, 0o700),
        ("kugetsu.db", 0o644, 0o600),
        ("state/opencode/opencode.db", 0o644, 0o600),
        ("logs", 0o750, 0o700),
        ("queue/daemon.log", 0o640, 0o600),
        ("repos.json", 0o666, 0o644),
    ] {
        let (desk, _) = check("mode.loose", Mended, |desk| {
            let path = desk.kugetsu(inside);
            if [strange, "daemon.log"].iter().any(|name| inside.ends_with(name)) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, "").unwrap();
            }
            set_mode(&path, loose);
        });
        assert_eq!(mode(&desk.kugetsu(inside)), tight, "{inside}");
    }
}

#[test]
fn what_is_in_the_directory_is_looked_at() {
    check("directory.missing", Mended, |desk| {
        fs::remove_dir_all(desk.kugetsu("queue")).unwrap();
    });
    check("directory.in-the-way", Told, |desk| {
        fs::remove_dir_all(desk.kugetsu("logs")).unwrap();
        fs::write(desk.kugetsu("logs"), "").unwrap();
    });
    check("env.loose", Mended, |desk| set_mode(&desk.kugetsu("env/default.env"), 0o644));
    check("env.invalid", Told, |desk| {
        fs::write(desk.kugetsu("env/pm-agent.env"), "export GOOD=\"1\"\nno variable\n").unwrap();
    });
    // Reading it would wait for ever.
    check("env.invalid", Told, |desk| {
        let path = desk.kugetsu("env/x.env");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
    });
    check("repos.invalid", Told, |desk| {
        fs::write(desk.kugetsu("repos.json"), "[").unwrap();
    });
    let (desk, fixed) = check("settings.invalid", Told, |desk| {
        fs::write(desk.kugetsu("config.toml"), "max_concurrent_agent = 3\n").unwrap();
        fs::write(desk.kugetsu("config"), "TASK_TIMEOUT_HOURS=soon\n").unwrap();
    });
    let mistakes = ids(&fixed, "findings");
    assert_eq!(mistakes, ["settings.invalid", "settings.invalid"], "both files are told");
    assert_eq!(desk.run(&["doctor"]).code, 1);
    check("daemon.stale-pid", Mended, |desk| {
        fs::write(desk.kugetsu("queue/daemon.pid"), "4194304 2026-01-01T00:00:00Z\n").unwrap();
    });
    check("directory.two", Told, |desk| {
        let other = desk.path("home/.kugetsu");
        fs::create_dir_all(other.join("env")).unwrap();
        fs::write(other.join("kugetsu.db"), "").unwrap();
    });
}

#[test]
fn where_nothing_is_there_is_nothing_but_init_to_be_done() {
    let fresh = desk();
    assert_eq!(ids(&fresh.run(&["doctor", "--json"]), "findings"), ["directory.not-made"]);
    assert_eq!(fresh.run(&["doctor", "--fix"]).code, 1);
    assert!(!fresh.kugetsu("").exists(), "looking makes nothing");
    fs::write(fresh.path("kugetsu"), "").unwrap();
    assert_eq!(ids(&fresh.run(&["doctor", "--json"]), "findings")[0], "directory.in-the-way");
    let lost = desk().with("HOME", "").with("KUGETSU_DIR", "");
    assert_eq!(lost.run(&["doctor"]).code, 78);
}

#[test]
fn a_queue_that_stands_still_is_told() {
    let desk = worked();
    desk.run(&["queue", "enqueue", ISSUE, "Do it."]).done();
    let told = desk.run(&["doctor", "--json"]);
    assert_eq!((ids(&told, "findings"), told.code), (vec!["daemon.not-running".to_owned()], 0));
    desk.run(&["queue", "pause", "--reason", "lunch"]).done();
    assert!(ids(&desk.run(&["doctor", "--json"]), "findings").contains(&"queue.paused".into()));
    sql(
        &desk,
        "UPDATE memo SET text = replace(text, '\"since\":1', '\"since\":0') WHERE name = 'hold/pause'",
    );
    let told = desk.run(&["doctor", "--json"]);
    assert!(ids(&told, "findings").contains(&"queue.paused-long".into()), "{}", told.shown());
}

#[test]
fn what_was_never_finished_is_told_and_removed_once_nobody_goes_on_with_it() {
    let names = [
        "config.toml.new",
        "kugetsu.db.new",
        "kugetsu.db.new-wal",
        "journal.jsonl.new",
        "env/default.env.new",
        "queue/daemon.pid.new",
        "context/a.json.new",
    ];
    let others = ["notes.new", "env/mine.new"];
    let (desk, fixed) = check("file.left-over", Mended, |desk| {
        for name in names.iter().chain(&others) {
            fs::create_dir_all(desk.kugetsu(name).parent().unwrap()).unwrap();
            let file = fs::File::create(desk.kugetsu(name)).unwrap();
            set_mode(&desk.kugetsu(name), 0o600);
            file.set_modified(SystemTime::now() - Duration::from_mins(2)).unwrap();
        }
        // Somebody writes this one now.
        fs::write(desk.kugetsu("servers.json.new"), "{").unwrap();
        set_mode(&desk.kugetsu("servers.json.new"), 0o600);
    });
    for name in names {
        assert!(!desk.kugetsu(name).exists(), "{name}: {}", fixed.shown());
    }
    for name in others.iter().chain(&["servers.json.new"]) {
        assert!(desk.kugetsu(name).exists(), "{name}: {}", fixed.shown());
    }
}
