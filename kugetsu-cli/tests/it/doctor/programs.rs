//! git and the agent: missing, too old, or not what they seem.

use std::fs;
use std::path::{Path, PathBuf};

use super::breakage::{ids, set_mode, worked};
use crate::desk::{Desk, initialised};

/// A directory with programs that say these versions, and nothing else.
fn path(desk: &Desk, programs: &[(&str, &str)]) -> PathBuf {
    let directory = desk.path("bin");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    for (name, script) in programs {
        program(&directory.join(name), script);
    }
    directory
}

fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    set_mode(path, 0o700);
}

#[test]
fn programs_that_are_missing_or_too_old_are_told() {
    for (script, found) in [
        (Some("echo git version 2.20.1"), "git.old"),
        (Some("echo hub 1.2"), "git.missing"),
        (None, "git.missing"),
    ] {
        let desk = initialised();
        let programs: Vec<_> = script.map(|script| ("git", script)).into_iter().collect();
        let path = path(&desk, &programs);
        let desk = desk.with("PATH", path.to_str().unwrap());
        let told = desk.run(&["doctor", "--json"]);
        assert!(ids(&told, "findings").iter().any(|id| id == found), "{}", told.shown());
        assert_eq!(told.code, 1);
    }
    for (script, found) in [
        (Some("echo 1.17.11"), "agent.unfit"),
        (Some("echo I am not it"), "agent.missing"),
        (None, "agent.missing"),
    ] {
        let desk = initialised();
        let opencode = desk.path("opencode");
        if let Some(script) = script {
            program(&opencode, script);
        }
        let desk = desk.with("KUGETSU_AGENT", "opencode");
        let desk = desk.with("KUGETSU_OPENCODE", opencode.to_str().unwrap());
        let told = desk.run(&["doctor", "--json"]);
        assert!(ids(&told, "findings").iter().any(|id| id == found), "{}", told.shown());
        assert_eq!(told.code, 1);
    }
}

#[test]
fn a_server_that_cannot_be_reached_or_has_no_token_is_told_by_its_name() {
    let desk = worked();
    let answers = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = |of: &std::net::TcpListener| format!("http://{}", of.local_addr().unwrap());
    let list = serde_json::json!({ "servers": {
        "github.com": { "url": "https://github.com" },
        "up": { "url": address(&answers) },
        "down": { "url": address(&gone) },
    }});
    drop(gone);
    fs::write(desk.kugetsu("servers.json"), list.to_string()).unwrap();
    let told = desk.run(&["doctor", "--json"]).done();
    assert_eq!(ids(&told, "findings"), ["server.unreachable"], "{}", told.shown());
    assert!(told.out.contains("the server down "), "{}", told.shown());
    let default = desk.run(&["doctor", "--json", "--config", "default_server=down"]).done();
    assert_eq!(ids(&default, "findings"), ["server.unreachable", "server.no-token"]);
    // One that was chosen is looked for also where it is on no list.
    let other = address(&std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let other = other.strip_prefix("http://").unwrap();
    let flag = format!("default_server={other}");
    let default = desk.run(&["doctor", "--json", "--config", &flag]).done();
    assert!(default.out.contains(&format!("https://{other}")), "{}", default.shown());
    assert_eq!(ids(&default, "findings"), ["server.unreachable", "server.unreachable"]);
    let list = serde_json::json!({ "servers": {
        "up": { "url": address(&answers), "kind": "gitea", "token": "UP_TOKEN" },
    }});
    fs::write(desk.kugetsu("servers.json"), list.to_string()).unwrap();
    let told = desk.run(&["doctor", "--json"]).done();
    assert_eq!(ids(&told, "findings"), ["server.token-unset"], "{}", told.shown());
    assert!(told.out.contains("kugetsu env set UP_TOKEN -"), "{}", told.shown());
    desk.run(&["env", "set", "UP_TOKEN", "hunter22"]).done();
    assert_eq!(ids(&desk.run(&["doctor", "--json"]).done(), "findings"), [""; 0]);
    fs::write(desk.kugetsu("servers.json"), "[]").unwrap();
    let told = desk.run(&["doctor", "--json"]);
    assert_eq!((ids(&told, "findings"), told.code), (vec!["server.invalid".to_owned()], 1));
}
