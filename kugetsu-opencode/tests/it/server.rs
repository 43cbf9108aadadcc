//! The server: shared, supervised, and gone with whoever needs it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use kugetsu_core::agent::{AgentError, AgentEvent, Conversation, RunRequest};
use kugetsu_core::{AgentRunner as _, Retry, Slot, SlotGuard, SlotKey};
use kugetsu_opencode::{Engine, OpencodeRunner};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use tokio_stream::StreamExt as _;

use crate::fixture::{BOUND, Fixture, owner_config, read, until};

/// Leaves its group, ignores SIGTERM, and its parent is gone.
const STUBBORN: &str = r#"MODEL: bash (setsid sh -c 'trap "" TERM; sleep 1000; sleep 1000' >/dev/null 2>&1 &); sleep 1000"#;

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_once_share_one_server() {
    let fixture = Fixture::new().await;
    let mut runs = Vec::new();
    for index in 0..4 {
        let worktree = fixture.worktree(&format!("w{index}"));
        let script = format!("MODEL: gate all ;; bash echo {index} > mine ;; say {index}");
        let run = fixture.runner.start(RunRequest::new(&worktree, script)).await.unwrap();
        runs.push((worktree, run));
    }
    fixture.model.wait_for_in_flight(4).await;
    assert_eq!(servers(&fixture.state()).len(), 1);
    fixture.model.open("all");
    for (index, (worktree, run)) in runs.into_iter().enumerate() {
        let told = read(run).await;
        assert_eq!(told.text(), index.to_string(), "{told:?}");
        assert_eq!(fs::read_to_string(worktree.join("mine")).unwrap().trim(), index.to_string());
    }
    fixture.runner.shut_down().await;
    assert!(servers(&fixture.state()).is_empty());
    assert_eq!(fs::read_dir(fixture.state().join("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_ends_its_runs_and_the_next_run_has_another() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut run = fixture.runner.start(RunRequest::new(&worktree, STUBBORN)).await.unwrap();
    wait_for_tool(&mut run).await;
    let server = servers(&fixture.state())[0];
    rustix::process::kill_process(Pid::from_raw(server).unwrap(), Signal::KILL).unwrap();
    let told = read(run).await;
    let error = told.error.expect("the run does not know of it");
    assert!(matches!(error, AgentError::Died { .. }), "{error}");
    assert_eq!(error.retry(), Retry::Later);
    assert!(!is_anyone_asleep_in(&worktree), "its tools outlived it");

    let told = fixture.run(RunRequest::new(&worktree, "MODEL: say again")).await;
    assert_eq!(told.text(), "again");
    assert_ne!(servers(&fixture.state()), [server]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_guard_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut run = fixture.runner.start(RunRequest::new(&worktree, STUBBORN)).await.unwrap();
    wait_for_tool(&mut run).await;
    kill(guards(&fixture.state())[0]);
    assert!(read(run).await.error.is_some());
    assert!(!is_anyone_asleep_in(&worktree));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_runner_leaves_nothing_behind() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: say hello")).await;
    assert!(told.is_done());
    let state = fixture.state();
    let locks = locks(&state);
    assert_eq!(locks.len(), 1);
    // The directory goes with the fixture; the open file does not.
    drop(fixture);
    wait_until_free(&locks[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_is_killed_takes_its_agents_with_it() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut owner = Owner::start(&fixture, &worktree, Engine::Server);
    let locks = locks(&fixture.state());
    assert!(is_anyone_asleep_in(&worktree));
    owner.kill();
    wait_until_free(&locks[0]);
    assert!(!is_anyone_asleep_in(&worktree));
    // Nothing was left for the next one but files.
    assert_eq!(fixture.runner.recover().await.unwrap(), []);
    assert_eq!(fs::read_dir(fixture.state().join("trees")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(fixture.state().join("tmp")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_owner_and_guard_is_ended_before_the_next_agent_starts() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut owner = Owner::start(&fixture, &worktree, Engine::Server);
    // An owner that cannot act, so that neither it nor the guard cleans up.
    rustix::process::kill_process(Pid::from_child(&owner.process), Signal::STOP).unwrap();
    kill(guards(&fixture.state())[0]);
    owner.kill();
    assert!(is_anyone_asleep_in(&worktree), "nothing is left to be ended");
    // Looking ends nothing, however often.
    for _ in 0..2 {
        let left = fixture.runner.leftovers().await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].processes.iter().any(|(_, program)| program == "sleep"), "{left:?}");
        assert!(left[0].record.exists());
    }
    assert!(is_anyone_asleep_in(&worktree), "looking has ended it");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: say next")).await;
    assert!(told.is_done(), "{told:?}");
    assert!(!is_anyone_asleep_in(&worktree));
    let ended = fixture.runner.take_ended();
    assert!(ended.iter().any(|ended| ended.program == "sleep"), "{ended:?}");
    assert_eq!(fixture.runner.take_ended(), []);
    assert_eq!(fixture.runner.leftovers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_owner_is_left_alone() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let run =
        fixture.runner.start(RunRequest::new(&worktree, "MODEL: gate g ;; say on")).await.unwrap();
    fixture.model.wait_for_in_flight(1).await;
    let another = fixture.another_runner();
    assert_eq!(another.leftovers().await.unwrap(), []);
    assert_eq!(another.recover().await.unwrap(), []);
    fixture.model.open("g");
    assert_eq!(read(run).await.text(), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_grown_too_large_is_replaced_when_nobody_uses_it() {
    let fixture = Fixture::with(|config| {
        let mut limits = config.limits.clone();
        limits.memory = 1;
        config.with_limits(limits)
    })
    .await;
    let worktree = fixture.worktree("one");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: say one")).await;
    until(|| servers(&fixture.state()).is_empty()).await;
    let resume = Conversation::Resume(told.session());
    let request = RunRequest::new(&worktree, "MODEL: history").with_conversation(resume);
    assert!(fixture.run(request).await.text().contains("users=2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_grown_too_large_finishes_what_it_has_beside_a_new_one() {
    let fixture = Fixture::with(|config| {
        let mut limits = config.limits.clone();
        limits.memory = 1;
        config.with_limits(limits)
    })
    .await;
    let start = async |name: &str| {
        let worktree = fixture.worktree(name);
        let script = format!("MODEL: gate {name} ;; say {name}");
        fixture.runner.start(RunRequest::new(&worktree, script)).await.unwrap()
    };
    let one = start("one").await;
    fixture.model.wait_for_in_flight(1).await;
    let [first] = servers(&fixture.state())[..] else { panic!("one server") };
    assert!(fixture.runner.is_warm());
    let two = start("two").await;
    fixture.model.wait_for_in_flight(2).await;
    let both = servers(&fixture.state());
    assert!(both.len() == 2 && both.contains(&first), "{first}: {both:?}");
    // The second one has outgrown too, and there are two already.
    let three = start("three").await;
    fixture.model.wait_for_in_flight(3).await;
    assert_eq!(servers(&fixture.state()).len(), 2);
    // The first one ends with its run, and takes nobody else's with it.
    fixture.model.open("one");
    assert_eq!(read(one).await.text(), "one");
    until(|| !servers(&fixture.state()).contains(&first)).await;
    fixture.model.open("two");
    fixture.model.open("three");
    assert_eq!(read(two).await.text(), "two");
    assert_eq!(read(three).await.text(), "three");
    until(|| servers(&fixture.state()).is_empty()).await;
    until(|| !fixture.runner.is_warm()).await;

    // Who shuts down ends both.
    let four = start("four").await;
    let five = start("five").await;
    assert_eq!(servers(&fixture.state()).len(), 2);
    fixture.runner.shut_down().await;
    assert!(servers(&fixture.state()).is_empty());
    drop((four, five));
}

/// By a process each, the slot is the tree's own; a server's slots are its owner's.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_free_only_when_nothing_of_its_run_is_alive() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut owner = Owner::start(&fixture, &worktree, Engine::Run);
    let slot = File::open(fixture.path().join("slot")).unwrap();
    let is_free = rustix::fs::flock(&slot, FlockOperation::NonBlockingLockExclusive).is_ok();
    assert!(!is_free, "nobody holds the slot");
    owner.kill();
    wait_until_free(&slot);
    assert!(!is_anyone_asleep_in(&worktree));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_is_told_to_nobody() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let script = "MODEL: bash echo $OPENCODE_SERVER_PASSWORD\nMODEL: history";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    let server = servers(&fixture.state())[0];
    let environ = fs::read(format!("/proc/{server}/environ")).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    let password = environ
        .split('\0')
        .find_map(|entry| entry.strip_prefix("OPENCODE_SERVER_PASSWORD="))
        .unwrap();
    assert_eq!(password.len(), 64);
    assert!(!format!("{told:?}").contains(password));
    assert!(!format!("{:?}", fixture.runner).contains(password));
    let cmdline = fs::read_to_string(format!("/proc/{server}/cmdline")).unwrap();
    assert!(!cmdline.contains(password));
    fixture.runner.shut_down().await;
    for log in fs::read_dir(fixture.state().join("logs")).unwrap() {
        assert!(!fs::read_to_string(log.unwrap().path()).unwrap().contains(password));
    }
}

/// What [`Owner`] runs: a process of its own that starts an agent and waits to be killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "not a test: other tests start it as a process that they kill"]
async fn owner_process() {
    let worktree = PathBuf::from(std::env::var_os("OWNER_WORKTREE").unwrap());
    let engine = match std::env::var("OWNER_ENGINE").unwrap().as_str() {
        "run" => Engine::Run,
        _ => Engine::Server,
    };
    let runner = OpencodeRunner::new(owner_config().with_engine(engine)).unwrap();
    let slot = File::create(std::env::var_os("OWNER_SLOT").unwrap()).unwrap();
    rustix::fs::flock(&slot, FlockOperation::LockExclusive).unwrap();
    let slot = Slot::new(SlotKey::Dev, 0, Arc::new(OpenFile(slot)));
    let request = RunRequest::new(&worktree, STUBBORN).with_slots(vec![slot]);
    let run = runner.start(request).await.unwrap();
    until(|| is_anyone_asleep_in(&worktree)).await;
    println!("the agent works");
    std::future::pending::<()>().await;
    drop(run);
}

#[derive(Debug)]
struct OpenFile(File);

impl SlotGuard for OpenFile {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

struct Owner {
    process: Child,
}

impl Owner {
    /// Starts the process and returns once its agent is at work.
    fn start(fixture: &Fixture, worktree: &Path, engine: Engine) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "server::owner_process"])
            .envs(fixture.owner_env())
            .env("OWNER_WORKTREE", worktree)
            .env("OWNER_SLOT", fixture.path().join("slot"))
            .env("OWNER_ENGINE", if engine == Engine::Run { "run" } else { "server" })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let works = said.map_while(Result::ok).any(|line| line.contains("the agent works"));
        assert!(works, "the owner did not start its agent");
        Self { process }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn wait_for_tool(run: &mut kugetsu_core::AgentRun) {
    while let Some(event) = run.events.next().await {
        if let AgentEvent::ToolStarted { .. } = event.unwrap() {
            return;
        }
    }
    panic!("no tool was used");
}

/// The pids of the guards of the state's living trees.
fn guards(state: &Path) -> Vec<i32> {
    files(state, "json")
        .into_iter()
        .filter_map(|note| {
            let note: serde_json::Value = serde_json::from_reader(File::open(note).ok()?).ok()?;
            i32::try_from(note.pointer("/guard/pid")?.as_i64()?).ok()
        })
        .filter(|pid| Path::new(&format!("/proc/{pid}")).exists())
        .collect()
}

/// The pids of the state's living servers.
pub(crate) fn servers(state: &Path) -> Vec<i32> {
    let guards = guards(state);
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
            let parent = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap();
            let cmdline = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            guards.contains(&parent.parse().unwrap()) && cmdline.contains("serve\0")
        })
        .collect()
}

fn locks(state: &Path) -> Vec<File> {
    files(state, "lock").into_iter().map(|path| File::open(path).unwrap()).collect()
}

fn files(state: &Path, extension: &str) -> Vec<PathBuf> {
    fs::read_dir(state.join("trees"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// Waits until nobody of the tree holds the lock.
fn wait_until_free(lock: &File) {
    let start = Instant::now();
    while rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        assert!(start.elapsed() < BOUND, "somebody of the tree still holds its lock");
        std::thread::yield_now();
    }
    rustix::fs::flock(lock, FlockOperation::Unlock).unwrap();
}

fn kill(pid: i32) {
    let pid = Pid::from_raw(pid).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).unwrap();
    let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    while rustix::event::poll(&mut polled, None).is_err() {}
}

/// Whether a `sleep` runs below the directory.
pub(crate) fn is_anyone_asleep_in(directory: &Path) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let mut name = String::new();
        fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
            && File::open(path.join("comm"))
                .is_ok_and(|mut comm| comm.read_to_string(&mut name).is_ok())
            && name.trim() == "sleep"
    })
}
