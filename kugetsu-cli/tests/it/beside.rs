//! `start` in the foreground beside a daemon: the daemon does it, and nothing looks different.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::desk::{Desk, ISSUE, initialised};

const OTHER: &str = "example.com/acme/widgets#8";

/// An agent that is a program: it waits where it is told to wait, fails where it is told to fail.
const AGENT: &str = r#"#!/bin/sh
message=$(cat)
echo $$ >> "HERE/agents"
case "$message" in *'please wait'*) read -r line < "HERE/gate" ;; esac
case "$message" in *'please fail'*) exit 3 ;; esac
echo All done.
"#;

/// A desk whose agent is such a program.
fn site() -> Desk {
    let desk = initialised();
    let program = desk.path("agent.sh");
    fs::write(&program, AGENT.replace("HERE", desk.path("").to_str().unwrap())).unwrap();
    let config = format!(
        "agent = \"command:script\"\nmax_concurrent_agents = 1\n\
         [command.script]\nprogram = [\"sh\", \"{}\"]\n",
        program.display()
    );
    fs::write(desk.kugetsu("config.toml"), config).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, desk.path("gate"), 0o600.into()).unwrap();
    desk
}

/// A command of the real program, in surroundings like the daemon's.
fn spawn(desk: &Desk, words: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
    command
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", desk.path("home"))
        .env("KUGETSU_DIR", desk.kugetsu(""))
        .env("KUGETSU_OPENCODE", "/nonexistent/opencode")
        .env("KUGETSU_MEMORY_RESERVE_MB", "0")
        .env("KUGETSU_DISK_RESERVE_MB", "0")
        .current_dir(desk.path("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// How it ended and all that it said.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    for line in told.lines() {
        let _ = writeln!(said, "stderr| {line}");
    }
    (child.wait().unwrap().code(), said)
}

/// Waits until so many agents have begun, and returns their processes.
fn agents(desk: &Desk, count: usize) -> Vec<Pid> {
    loop {
        let noted = fs::read_to_string(desk.path("agents")).unwrap_or_default();
        if noted.ends_with('\n') && noted.lines().count() >= count {
            let pid = |line: &str| Pid::from_raw(line.parse().unwrap()).unwrap();
            return noted.lines().map(pid).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets the agent go on that waits.
fn open_gate(desk: &Desk) {
    let mut gate = OpenOptions::new().write(true).open(desk.path("gate")).unwrap();
    gate.write_all(b"go\n").unwrap();
}

fn tasks(desk: &Desk) -> Vec<Value> {
    let told = desk.run(&["queue", "list", "--json"]).done().json();
    told["tasks"].as_array().unwrap().clone()
}

/// The workers that have tried the task, and how each attempt ended.
fn attempts(task: &Value) -> Vec<(&str, &str)> {
    let attempts = task["attempts"].as_array().unwrap().iter();
    attempts.map(|a| (a["worker"].as_str().unwrap(), a["end"]["end"].as_str().unwrap())).collect()
}

fn is_of(worker: &str, pid: u32) -> bool {
    worker.contains(&format!("-{pid}-"))
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_start_beside_a_daemon_is_the_daemons_and_looks_as_it_does_without_one() {
    let (alone, beside) = (site(), site());
    let daemon = Daemon::started(&beside, &[]);
    for words in
        [&["start", ISSUE, "Do it."][..], &["continue", ISSUE], &["start", ISSUE, "please fail"]]
    {
        let without = ended(spawn(&alone, words));
        let with = ended(spawn(&beside, words));
        assert_eq!(with.0, without.0, "{}\n{}", with.1, without.1);
        let said = |desk: &Desk, said: &str| {
            let said = said.replace(desk.path("").to_str().unwrap(), "<desk>/");
            let lines = said.lines().map(|line| {
                // How long it took, and ids, are their own.
                let words = line.split_whitespace().filter(|word| {
                    !word.contains(|c: char| c.is_ascii_digit()) || word.contains('#')
                });
                words.collect::<Vec<_>>().join(" ")
            });
            lines.collect::<Vec<_>>()
        };
        assert_eq!(said(&beside, &with.1), said(&alone, &without.1));
    }
    let tasks = tasks(&beside);
    assert_eq!(tasks.len(), 3);
    for task in &tasks {
        let [(worker, _)] = attempts(task)[..] else { panic!("one attempt: {task}") };
        assert!(is_of(worker, daemon.pid()), "{task}");
    }
    assert_eq!(attempts(&tasks[2])[0].1, "failed");
    daemon.terminate();
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn ctrl_c_stops_the_agent_of_the_daemon_and_waits_for_its_end() {
    let desk = site();
    let daemon = Daemon::started(&desk, &[]);
    let child = spawn(&desk, &["start", ISSUE, "please wait"]);
    let agent = agents(&desk, 1)[0];
    signal(child.id(), Signal::INT);
    let (code, said) = ended(child);
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("was stopped"), "{said}");
    assert!(test_kill_process(agent).is_err(), "the agent is alive");
    assert_eq!(tasks(&desk)[0]["state"]["outcome"]["outcome"], "cancelled");
    // The daemon goes on.
    let (code, said) = ended(spawn(&desk, &["start", OTHER, "Do it."]));
    assert_eq!(code, Some(0), "{said}");
    daemon.terminate();
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn the_limit_is_the_daemons_and_who_does_not_wait_queues_nothing() {
    let desk = site();
    let daemon = Daemon::started(&desk, &[]);
    let first = spawn(&desk, &["start", ISSUE, "please wait"]);
    agents(&desk, 1);
    for issue in [ISSUE, OTHER] {
        let (code, said) = ended(spawn(&desk, &["start", issue, "Do it."]));
        assert_eq!(code, Some(2), "{said}");
    }
    let (code, said) = ended(spawn(&desk, &["start", OTHER, "Do it.", "--wait=1s"]));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("waiting: no slot is free"), "{said}");
    let waiting = spawn(&desk, &["start", OTHER, "Do it.", "--wait"]);
    let is_queued =
        || tasks(&desk).iter().filter(|task| task["state"]["state"] == "pending").count();
    while is_queued() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    open_gate(&desk);
    for child in [first, waiting] {
        let (code, said) = ended(child);
        assert_eq!(code, Some(0), "{said}");
    }
    // What was not waited for, and what was waited for in vain, was begun by nobody.
    assert_eq!(agents(&desk, 2).len(), 2);
    daemon.terminate();
    assert_eq!(daemon.ended().0, Some(0));
}

#[test]
fn a_daemon_that_dies_at_work_is_noticed_and_told() {
    let desk = site();
    let daemon = Daemon::started(&desk, &[]);
    let child = spawn(&desk, &["start", ISSUE, "please wait"]);
    let agent = agents(&desk, 1)[0];
    signal(daemon.pid(), Signal::KILL);
    let (code, said) = ended(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the process that ran it died"), "{said}");
    assert!(said.contains("continue with `kugetsu continue"), "{said}");
    assert!(test_kill_process(agent).is_err(), "the agent is alive");
    assert_eq!(attempts(&tasks(&desk)[0])[0].1, "failed");
    drop(daemon);
}

#[test]
fn what_a_daemon_gives_back_or_does_not_take_is_carried_out_here() {
    let desk = site();
    let daemon = Daemon::started(&desk, &[]);
    let child = spawn(&desk, &["start", ISSUE, "please wait"]);
    agents(&desk, 1);
    let (own, theirs) = (child.id(), daemon.pid());
    // Twice: the agents are stopped, and their tasks are given back.
    daemon.terminate();
    std::thread::sleep(Duration::from_millis(50));
    daemon.terminate();
    daemon.ended();
    agents(&desk, 2);
    open_gate(&desk);
    let (code, said) = ended(child);
    assert_eq!(code, Some(0), "{said}");
    let all = tasks(&desk);
    let [(first, "released"), (second, "succeeded")] = attempts(&all[0])[..] else {
        panic!("{}", all[0])
    };
    assert!(is_of(first, theirs) && is_of(second, own), "{}", all[0]);
}

#[test]
fn a_queue_that_rests_and_settings_of_ones_own_are_no_concern_of_the_daemon() {
    let desk = site();
    let daemon = Daemon::started(&desk, &[]);
    for (words, rests) in [
        (&["start", ISSUE, "Do it."][..], true),
        (&["start", ISSUE, "Do it.", "--config", "stall_timeout_minutes=9"], false),
    ] {
        desk.run(&["queue", if rests { "pause" } else { "resume" }]).done();
        let child = spawn(&desk, words);
        let own = child.id();
        let (code, said) = ended(child);
        assert_eq!(code, Some(0), "{said}");
        let all = tasks(&desk);
        let [(worker, "succeeded")] = attempts(all.last().unwrap())[..] else { panic!("{all:?}") };
        assert!(is_of(worker, own), "{all:?}");
    }
    daemon.terminate();
    assert_eq!(daemon.ended().0, Some(0));
}
