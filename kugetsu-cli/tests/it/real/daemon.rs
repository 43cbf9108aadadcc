//! The daemon, with the real opencode: what is queued is carried out, whatever happens to it.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::house::{House, finish, issue, reference, until_dead};
use super::limit::{CANARY, seen};

/// A daemon in the foreground, whose every line can be heard.
pub(super) struct Daemon {
    pub(super) child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    pub(super) async fn start(house: &House) -> Self {
        Self::start_with(house, &[], &[]).await
    }

    async fn start_with(house: &House, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let words = [&["queue-daemon", "run"], flags].concat();
        let mut command = house.kugetsu(&words);
        command.envs(variables.iter().copied());
        Self::spawn(command).await
    }

    pub(super) async fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut daemon = Self { child, lines };
        daemon.hear("carries out what is queued", 1).await;
        daemon
    }

    /// Listens until this has been said so many times.
    pub(super) async fn hear(&mut self, what: &str, mut times: usize) {
        let mut heard = String::new();
        while times > 0 {
            let line = self.lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("no {what:?} in:\n{heard}"));
            times -= usize::from(line.contains(what));
            heard.push_str(&line);
            heard.push('\n');
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub(super) async fn ended(mut self) -> Option<i32> {
        while let Ok(Some(_)) = self.lines.next_line().await {}
        self.child.wait().await.unwrap().code()
    }
}

pub(super) async fn enqueue(house: &House, number: u64, script: &str) -> String {
    let ran = house.run(&["queue", "enqueue", &issue(number), script]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim().to_owned()
}

pub(super) async fn task(house: &House, id: &str) -> Value {
    let ran = house.run(&["queue", "show", "--json", id]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

pub(super) fn outcome(task: &Value) -> &str {
    task["state"]["outcome"]["outcome"].as_str().unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn six_tasks_with_the_limit_3_are_all_completed_and_sigterm_drains() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let mut tasks = Vec::new();
    for number in 1..=6 {
        tasks.push(enqueue(&house, number, "MODEL: gate go\nMODEL: say done").await);
    }
    house.model.wait_for_in_flight(3).await;
    house.model.open("go");
    daemon.hear("completed", 6).await;
    for id in &tasks {
        let task = task(&house, id).await;
        assert_eq!(outcome(&task), "completed", "{task}");
        assert_eq!(task["attempts"].as_array().unwrap().len(), 1, "{task}");
    }
    assert_eq!(house.model.most_in_flight(), 3);
    let running = enqueue(&house, 7, "MODEL: gate later\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    daemon.signal(Signal::TERM);
    daemon.hear("starting no more agents", 1).await;
    let waiting = enqueue(&house, 8, "MODEL: say done").await;
    house.model.open("later");
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(outcome(&task(&house, &running).await), "completed");
    assert_eq!(task(&house, &waiting).await["state"]["state"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_and_starts_by_hand_are_never_more_than_three_together() {
    let house = House::new().await;
    let canaries = house.place("canaries");
    let mut daemon = house.kugetsu(&["queue-daemon", "run"]);
    daemon.env("CANARIES", &canaries).env("KUGETSU_INHERIT_VARIABLES", "CANARIES");
    let mut daemon = Daemon::spawn(daemon).await;
    let script = format!("MODEL: gate go ;; bash {CANARY}\nMODEL: say done");
    let mut tasks = Vec::new();
    let mut by_hand = Vec::new();
    for number in 1..=6 {
        tasks.push(enqueue(&house, number, &script).await);
        if number % 3 == 1 {
            let mut start = house.kugetsu(&["start", "--wait", &issue(10 + number), &script]);
            by_hand.push(finish(
                start
                    .env("CANARIES", &canaries)
                    .env("KUGETSU_INHERIT_VARIABLES", "CANARIES")
                    .spawn()
                    .unwrap(),
            ));
        }
    }
    house.model.wait_for_in_flight(3).await;
    house.model.open("go");
    daemon.hear("completed", tasks.len() + by_hand.len()).await;
    for started in by_hand {
        let ran = started.await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for id in &tasks {
        let task = task(&house, id).await;
        assert_eq!(outcome(&task), "completed", "{task}");
        assert_eq!(task["attempts"].as_array().unwrap().len(), 1, "{task}");
    }
    let seen = seen(&canaries);
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|canary| *canary <= 3), "{seen:?}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    let listed = house.run(&["notify", "list", "--json"]).await.stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let told = listed["notices"].as_array().unwrap();
    let keys: BTreeSet<_> = told.iter().map(|notice| notice["key"].as_str().unwrap()).collect();
    assert_eq!((keys.len(), told.len()), (8 * 4, 8 * 4), "each once by its key");
    for task in told.iter().map(|notice| &notice["task"]) {
        let own = told.iter().filter(|notice| notice["task"] == *task);
        let kinds: Vec<_> = own.map(|notice| notice["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["task_queued", "task_dequeued", "task_started", "task_completed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_with_9_loses_nothing_and_the_next_one_ends_it() {
    let house = House::new().await;
    let daemon = Daemon::start(&house).await;
    let id = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    let run = house.processes(daemon.child.id());
    assert!(!run.is_empty());
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    until_dead(&run, 10);
    let mut next = Daemon::start(&house).await;
    house.model.open("go");
    next.hear("completed", 1).await;
    let task = task(&house, &id).await;
    assert_eq!(outcome(&task), "completed", "{task}");
    assert_eq!(task["attempts"].as_array().unwrap().len(), 2, "{task}");
    next.signal(Signal::TERM);
    assert_eq!(next.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_gives_the_task_back_which_costs_no_attempt() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let id = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    daemon.signal(Signal::TERM);
    daemon.hear("starting no more agents", 1).await;
    daemon.signal(Signal::TERM);
    let told = Instant::now();
    assert_eq!(daemon.ended().await, Some(0));
    println!("ended {:?} after the second signal", told.elapsed());
    assert!(told.elapsed() < Duration::from_secs(20));
    until_dead(&house.processes(None), 10);
    let task = task(&house, &id).await;
    assert_eq!(task["state"]["state"], "pending", "{task}");
    assert_eq!(task["attempts"][0]["end"]["end"], "released", "{task}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_a_limit_and_what_still_runs_then_goes_back_to_the_queue() {
    let house = House::new().await;
    let limit = ["--config", "drain_timeout_seconds=0.5"];
    let mut daemon = Daemon::start_with(&house, &limit, &[]).await;
    let id = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    daemon.signal(Signal::TERM);
    daemon.hear("agents still run; stopping them", 1).await;
    assert_eq!(daemon.ended().await, Some(0));
    let task = task(&house, &id).await;
    assert_eq!(task["state"]["state"], "pending", "{task}");
    assert_eq!(task["attempts"][0]["end"]["end"], "released", "{task}");
}

/// Its server stands still, so that nothing polite reaches it.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_second_signal_the_daemon_is_gone_even_if_an_agent_hears_nothing() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let id = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    let all = house.processes(daemon.child.id());
    let is_server = |pid: &&Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap();
        String::from_utf8_lossy(&line).contains("opencode\0serve")
    };
    let servers: Vec<&Pid> = all.iter().filter(is_server).collect();
    assert!(!servers.is_empty());
    for server in servers {
        kill_process(*server, Signal::STOP).unwrap();
    }
    daemon.signal(Signal::TERM);
    daemon.hear("starting no more agents", 1).await;
    daemon.signal(Signal::TERM);
    let told = Instant::now();
    assert_eq!(daemon.ended().await, Some(0));
    println!("ended {:?} after the second signal", told.elapsed());
    assert!(told.elapsed() < Duration::from_secs(30), "{:?}", told.elapsed());
    until_dead(&all, 20);
    let task = task(&house, &id).await;
    assert_ne!(task["state"]["state"], "settled", "{task}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_can_speak_to_the_service_manager() {
    let house = House::new().await;
    let path = house.place("service").join("notify");
    let _socket = UnixDatagram::bind(&path).unwrap();
    let told = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "60000000")];
    let mut daemon = Daemon::start_with(&house, &[], &told).await;
    let script = "MODEL: bash env > seen.txt\nMODEL: say done";
    let id = enqueue(&house, 1, script).await;
    daemon.hear("completed", 1).await;
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(outcome(&task(&house, &id).await), "completed");
    let worktree = house.directory().join("worktrees").join(reference(1).stem());
    let seen = std::fs::read_to_string(worktree.join("seen.txt")).unwrap();
    assert!(seen.contains("PATH="), "{seen}");
    assert!(!seen.contains("NOTIFY_SOCKET") && !seen.contains("WATCHDOG"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_daemon_begins_nothing_until_it_is_resumed() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let running = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    house.model.wait_for_in_flight(1).await;
    let paused = house.run(&["queue", "pause", "--reason", "lunch"]).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let waiting = enqueue(&house, 2, "MODEL: say done").await;
    house.model.open("go");
    daemon.hear("completed", 1).await;
    assert_eq!(outcome(&task(&house, &running).await), "completed");
    assert_eq!(task(&house, &waiting).await["state"]["state"], "pending");
    let resumed = house.run(&["queue", "resume"]).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    daemon.hear("completed", 1).await;
    assert_eq!(outcome(&task(&house, &waiting).await), "completed");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
}

/// Stops the daemon that was started in the background, however the test ends.
pub(super) struct Stopped<'a>(&'a House);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let mut stop = self.0.kugetsu(&["queue-daemon", "stop", "--now"]).into_std();
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_is_started_once_shown_and_stopped() {
    let house = House::new().await;
    let _stopped = Stopped(&house);
    let status = house.run(&["queue-daemon", "status"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    let started = house.run(&["queue-daemon", "start"]).await;
    assert_eq!(started.code, Some(0), "{started:?}");
    let again = house.run(&["queue-daemon", "start"]).await;
    assert!(again.stdout.contains("already"), "{again:?}");
    let second = house.run(&["queue-daemon", "run"]).await;
    assert_eq!(second.code, Some(2), "{second:?}");
    let status = house.run(&["queue-daemon", "status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    let detached = house.run(&["start", "--detach", &issue(1), "MODEL: say done"]).await;
    assert_eq!(detached.code, Some(0), "{detached:?}");
    assert!(!detached.stderr.contains("does not run"), "{detached:?}");
    let pid = async || {
        let status = house.run(&["queue-daemon", "status", "--json"]).await;
        serde_json::from_str::<Value>(&status.stdout).unwrap()["pid"].clone()
    };
    let before = pid().await;
    let restarted = house.run(&["queue-daemon", "restart"]).await;
    assert_eq!(restarted.code, Some(0), "{restarted:?}");
    let after = pid().await;
    assert!(after.is_u64() && after != before, "{before} {after}");
    let stopped = house.run(&["queue-daemon", "stop"]).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    let status = house.run(&["queue-daemon", "status", "--json"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    let told: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&told["daemon"], &told["pid"]), (&"not running".into(), &Value::Null), "{told}");
    let logs = house.run(&["queue-daemon", "logs"]).await;
    assert!(logs.stdout.contains("carries out what is queued"), "{logs:?}");
    assert!(logs.stdout.contains("has ended"), "{logs:?}");
    let stopped = house.run(&["queue-daemon", "stop"]).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
}

/// The servers of opencode among these processes.
fn servers(house: &House) -> Vec<Pid> {
    let serves = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        let line = String::from_utf8_lossy(&line.unwrap_or_default()).into_owned();
        let words: Vec<&str> = line.split('\0').collect();
        // The guard has the same words behind its own.
        words.get(1) == Some(&"serve")
    };
    house.processes(None).into_iter().filter(serves).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_and_two_starts_beside_it_have_one_server() {
    let house = House::new().await;
    let mut daemon = Daemon::start(&house).await;
    let queued = enqueue(&house, 1, "MODEL: gate go\nMODEL: say done").await;
    let start = |number| {
        let script = format!("MODEL: gate go\nMODEL: say number {number}");
        house.kugetsu(&["start", &issue(number), &script]).spawn().unwrap()
    };
    let beside = [start(2), start(3)];
    house.model.wait_for_in_flight(3).await;
    let running = servers(&house);
    assert_eq!(running.len(), 1, "{running:?}");
    house.model.open("go");
    for child in beside {
        let ran = finish(child).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("number "), "{ran:?}");
    }
    daemon.hear("completed", 3).await;
    assert_eq!(outcome(&task(&house, &queued).await), "completed");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().await, Some(0));
}
