//! `init` and `status`.

use crate::desk::{ISSUE, desk, initialised, is_private};

#[test]
fn init_needs_no_terminal_and_status_follows_it() {
    let desk = desk();
    let seen = desk.transcript(&[
        &["status"],
        &["init"],
        &["status"],
        &["init"],
        &["destroy", "--pm-agent", "-y"],
        &["status"],
        &["destroy", "--base", "-y"],
        &["status"],
        &["init"],
        &["status"],
    ]);
    desk.assert("init", &seen);
}

#[test]
fn status_makes_nothing() {
    let desk = desk();
    desk.run(&["status"]).done();
    assert!(!desk.path("kugetsu").exists());
}

#[test]
fn what_init_makes_is_private() {
    let desk = initialised();
    for inside in ["", "config.toml", "env", "env/default.env", "env/pm-agent.env", "kugetsu.db"] {
        assert!(is_private(&desk.kugetsu(inside)), "{inside}");
    }
}

#[test]
fn the_default_config_says_nothing_but_comments() {
    let desk = initialised();
    let text = std::fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
    desk.assert("config.toml", &text);
    // With every comment taken away it says what is the default anyway, and some sinks.
    let said: String = text
        .lines()
        .filter(|line| line.contains(" = ") || line.starts_with("# ["))
        .filter(|line| !line.ends_with("\"\""))
        .map(|line| line.trim_start_matches("# ").to_owned() + "\n")
        .collect();
    std::fs::write(desk.kugetsu("config.toml"), said).unwrap();
    desk.run(&["config", "list"]).done();
}

#[test]
fn init_by_force_keeps_what_people_made_and_their_issues() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt one ;; commit one ;; say done"]).done();
    std::fs::write(desk.kugetsu("config.toml"), "max_concurrent_agents = 5\n").unwrap();
    std::fs::write(desk.kugetsu("env/default.env"), "export A=\"b\"\n").unwrap();
    let before = desk.run(&["list", "--all", "--json"]).json();
    desk.run(&["init", "--force"]).done();
    let after = desk.run(&["list", "--all", "--json"]).json();
    let config = std::fs::read_to_string(desk.kugetsu("config.toml")).unwrap();
    assert_eq!(config, "max_concurrent_agents = 5\n");
    let env = std::fs::read_to_string(desk.kugetsu("env/default.env")).unwrap();
    assert_eq!(env, "export A=\"b\"\n");
    assert!(desk.worktree().join("a.txt").exists());
    let session = |list: &serde_json::Value, kind: &str| {
        let rows = list["sessions"].as_array().unwrap();
        rows.iter().find(|row| row["kind"] == kind).map(|row| row["session"].clone())
    };
    assert_ne!(session(&before, "base"), session(&after, "base"));
    assert_ne!(session(&before, "pm"), session(&after, "pm"));
    assert_eq!(session(&before, "dev"), session(&after, "dev"));
    assert_eq!(session(&after, "repo"), None);
}

#[test]
fn init_answers_in_json() {
    let desk = desk();
    let ran = desk.run(&["init", "--json"]).done();
    assert_eq!(ran.err, "");
    let told = ran.json();
    assert_eq!(told["directory"], desk.path("kugetsu").to_string_lossy().as_ref());
    assert_eq!((told["base"].as_str(), told["pm"].as_str()), (Some("fake_1"), Some("fake_2")));
    assert_eq!(desk.run(&["status", "--json"]).json()["status"], "ok");
}
