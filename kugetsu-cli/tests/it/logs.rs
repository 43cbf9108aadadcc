//! `logs`, and what stands in none of them.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::desk::{Desk, ISSUE, desk, initialised, is_private};

const SECRET: &str = "hunter22-of-the-team";

/// The logs in the directory of this lane.
fn files(desk: &Desk, lane: &str) -> Vec<PathBuf> {
    let directory = desk.kugetsu("logs").join(lane);
    let mut found: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every byte of every file below the directory.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else if path.is_file() {
            all.extend(fs::read(&path).unwrap());
        }
    }
    all
}

fn private_file(path: &Path, text: &str) {
    let file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
}

#[test]
fn the_last_logs_are_listed_and_one_is_shown() {
    let desk = initialised();
    let empty = desk.transcript(&[&["logs"], &["logs", ISSUE], &["logs", "-f", ISSUE]]);
    desk.run(&["start", ISSUE, "MODEL: say I look. ;; write a.txt one ;; say All done."]).done();
    let id = desk.run(&["queue", "list", "--json"]).json()["tasks"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let one = desk.transcript(&[&["logs"], &["logs", ISSUE], &["logs", "-f", id, "-n", "2"]]);
    desk.run(&["start", ISSUE, "MODEL: http 400"]);
    let log = files(&desk, "example.com-acme-widgets-7");
    assert!(log.len() == 2 && log.iter().all(|log| is_private(log)), "{log:?}");
    let more =
        desk.transcript(&[&["logs", "1"], &["logs", ISSUE, "-n", "1"], &["logs", id, "-n", "1"]]);
    // The beginning of its id is enough.
    assert_eq!(desk.run(&["logs", &id[..18]]).done().out, desk.run(&["logs", id]).done().out);
    desk.assert("logs", &[empty, one, more].join("\n"));
}

#[test]
fn what_is_asked_of_no_log_is_told() {
    let desk = initialised();
    let seen = desk.transcript(&[
        &["logs", "-f"],
        &["logs", "-n", "3"],
        &["logs", "5", "--json"],
        &["logs", "pm"],
        &["logs", "no/reference"],
        &["logs", "019b76da-a800-7000-8000-000000000001"],
    ]);
    desk.assert("logs-mistakes", &seen);
    let before = self::desk();
    assert_eq!(before.run(&["logs"]).code, 78);
}

#[test]
fn in_json_the_logs_are_the_events() {
    let desk = initialised();
    let other = "example.com/acme/widgets#8";
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    desk.run(&["start", other, "MODEL: say hello"]).done();
    let events = |words: &[&str]| -> Vec<serde_json::Value> {
        let words: Vec<&str> = ["logs", "--json"].iter().chain(words).copied().collect();
        let ran = desk.run(&words).done();
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (all, ours) = (events(&[]), events(&[ISSUE]));
    assert!(ours.iter().all(|event| event["issue"] == ISSUE));
    assert!(all.iter().all(|event| event["format"] == "kugetsu.event/1"));
    assert_eq!(all.len(), ours.len() + events(&[other]).len());
    assert_eq!(ours[0]["what"]["type"], "enqueued");
    assert_eq!(ours.last().unwrap()["what"]["type"], "settled");
    assert_eq!(events(&[ours[0]["task"].as_str().unwrap(), "-f"]), ours);
    assert_eq!(events(&[ISSUE, "-n", "2"]), ours[ours.len() - 2..]);
    assert!(events(&["pm"]).is_empty());
}

#[test]
fn a_log_is_followed_until_its_task_is_settled() {
    let desk = initialised();
    let script = "MODEL: say one ;; write a.txt a ;; gate go ;; say two";
    std::thread::scope(|scope| {
        let started = scope.spawn(|| desk.run(&["start", ISSUE, script]).done());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(desk.agent.until_at_work(1));
        let followed = scope.spawn(|| desk.run(&["logs", "-f", ISSUE]).done());
        let told = scope.spawn(|| desk.run(&["logs", "-f", ISSUE, "--json"]).done());
        desk.agent.open("go");
        started.join().unwrap();
        let (followed, told) = (followed.join().unwrap(), told.join().unwrap());
        let log = fs::read_to_string(&files(&desk, "example.com-acme-widgets-7")[0]).unwrap();
        assert_eq!(followed.out, log);
        assert!(log.contains("says   two") && log.ends_with("ended  completed\n"), "{log}");
        assert!(told.out.lines().last().unwrap().contains("settled"), "{}", told.shown());
    });
}

#[test]
fn whatever_stands_in_a_log_does_not_act_on_the_terminal() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: say hello"]).done();
    let log = &files(&desk, "example.com-acme-widgets-7")[0];
    let text = fs::read_to_string(log).unwrap();
    fs::write(log, text.replace("hello", "\u{1b}[2J\u{9b}31m\u{202e}hello")).unwrap();
    for words in [&["logs", ISSUE][..], &["logs"], &["logs", "-f", ISSUE]] {
        let ran = desk.run(words).done();
        assert!(ran.out.contains("<U+001B>[2J<U+009B>31m<U+202E>hello"), "{}", ran.shown());
    }
}

#[test]
fn a_secret_of_an_env_file_or_of_our_own_environment_is_seen_nowhere() {
    let other = "another-secret-of-ours";
    let desk = initialised().with("TEAM_API_KEY", SECRET);
    private_file(&desk.kugetsu("env/pm-agent.env"), &format!("export FORGE_TOKEN=\"{other}\"\n"));
    private_file(&desk.path("secrets.txt"), &format!("{SECRET}\n{other}\n"));
    let script = format!("MODEL: bash cat {} ;; say I saw it.", desk.path("secrets.txt").display());
    let mut seen = desk.run(&["start", ISSUE, &script]).done().shown();
    for words in [&["logs"][..], &["logs", ISSUE], &["logs", "--json"], &["queue", "list"]] {
        seen += &desk.run(words).done().shown();
    }
    assert!(seen.contains("***MASKED***"), "{seen}");
    assert!(!seen.contains(SECRET) && !seen.contains(other), "{seen}");
    fs::remove_file(desk.kugetsu("env/pm-agent.env")).unwrap();
    let all = bytes_below(&desk.kugetsu(""));
    for secret in [SECRET, other] {
        assert!(!all.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn the_rules_may_come_from_a_file_and_a_broken_one_is_named() {
    let desk = initialised();
    fs::write(desk.kugetsu("dev-agent.md"), "Be quick on {issue}.\n").unwrap();
    desk.run(&["start", ISSUE, "MODEL: say hi"]).done();
    let told = desk.agent.runs().last().unwrap().message.clone();
    let expected = format!("Be quick on {ISSUE}.\n\nDelegator's message:\nMODEL: say hi");
    assert_eq!(told, expected);
    fs::write(desk.kugetsu("dev-agent.md"), "").unwrap();
    desk.assert("prompt-empty", &desk.transcript(&[&["start", ISSUE, "go"]]));
}
