//! What is left when a run ends before its time: everything but processes.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::house::{House, finish, issue, until_dead, until_told};

/// Leaves a file, a process in a session of its own, and a tool that does not end.
const BUSY: &str = "MODEL: write half.txt unfinished
MODEL: bash setsid sleep 600 > /dev/null 2>&1 &
MODEL: bash sleep 600";

async fn busy(house: &House) -> Child {
    let mut child = house.kugetsu(&["start", "--json", &issue(1), BUSY]).spawn().unwrap();
    until_told(&mut child, "tool_started", 3).await;
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The worktree is as it was, the slots are free, and the conversation goes on.
async fn can_be_continued(house: &House) {
    let slots = house.run(&["slots", "--json"]).await;
    assert_eq!(slots.code, Some(0), "{slots:?}");
    assert!(!slots.stdout.contains("acme"), "{slots:?}");
    let worktree = house.directory().join("worktrees/git.example-acme-widgets-1");
    assert_eq!(fs::read_to_string(worktree.join("half.txt")).unwrap().trim(), "unfinished");
    let on = house.run(&["continue", "--json", &issue(1), "MODEL: history"]).await;
    assert_eq!(on.code, Some(0), "{on:?}");
    assert!(on.answer().contains("users=3"), "{}", on.answer());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_9_nothing_of_the_run_lives_on_and_nothing_is_lost() {
    let house = House::new().await;
    let mut child = busy(&house).await;
    let run = house.processes(child.id());
    assert!(run.len() >= 4, "a guard, a server and two tools at least: {run:?}");
    signal(&child, Signal::KILL);
    until_dead(&run, 5);
    child.wait().await.unwrap();
    assert!(house.processes(None).is_empty());
    can_be_continued(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_agent_and_the_session_can_be_continued() {
    let house = House::new().await;
    let child = busy(&house).await;
    signal(&child, Signal::INT);
    let ran = finish(child).await;
    assert_eq!(ran.code, Some(130), "{ran:?}");
    until_dead(&house.processes(None), 5);
    can_be_continued(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_the_agent_of_an_issue_from_another_process() {
    let house = House::new().await;
    let idle = house.run(&["stop", &issue(1)]).await;
    assert!(idle.stdout.contains("not in use"), "{idle:?}");
    let child = busy(&house).await;
    let stopped = house.run(&["stop", &issue(1)]).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let ran = finish(child).await;
    assert_ne!(ran.code, Some(0), "{ran:?}");
    until_dead(&house.processes(None), 5);
    can_be_continued(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_guard_leaves_nothing_that_the_next_start_does_not_end() {
    let house = House::new().await;
    let mut child = busy(&house).await;
    let run = house.processes(child.id());
    for pid in &run {
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap();
        if String::from_utf8_lossy(&command).contains("__kugetsu-guard") {
            kill_process(*pid, Signal::KILL).unwrap();
        }
    }
    signal(&child, Signal::KILL);
    child.wait().await.unwrap();
    // Doctor names them, and looking ends nothing.
    let told = house.run(&["doctor", "--json"]).await;
    assert!(told.stdout.contains("process.left-over"), "{told:?}");
    assert!(!house.processes(None).is_empty());
    let on = house.run(&["continue", &issue(1), "MODEL: say on"]).await;
    assert_eq!(on.code, Some(0), "{on:?}");
    until_dead(&run, 5);
}
