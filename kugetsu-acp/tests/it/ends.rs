//! Nothing outlives a run, whoever dies.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kugetsu_acp::{AcpConfig, AcpRunner, GuardProgram};
use kugetsu_core::agent::{AgentEvent, Finish, RunRequest, Stop};
use kugetsu_core::{AgentId, AgentRunner as _, Slot, SlotGuard, SlotKey};
use rustix::fs::FlockOperation;
use tokio_stream::StreamExt as _;

use crate::fixture::{BOUND, Fixture, read};
use crate::programs;

/// Whether somebody sleeps in the directory.
fn is_anyone_asleep_in(directory: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.map(|entry| entry.path()).any(|process| {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == directory)
            && fs::read(process.join("cmdline")).is_ok_and(|words| words.starts_with(b"sleep\0"))
    })
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.expect("it does not become so");
}

#[tokio::test]
async fn what_a_run_leaves_running_is_gone_before_its_end_is_told() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree();
    // The agent goes on when what it leaves behind has become what is looked for, and was seen.
    let script = "MODEL: bash setsid sleep 1000 >/dev/null 2>&1 & \
        until grep -aq ^sleep /proc/$!/cmdline; do :; done\n\
        MODEL: bash until [ -e seen ]; do :; done\nMODEL: say left";
    let mut run = fixture.runner().start(RunRequest::new(&worktree, script)).await.unwrap();
    let mut was_asleep = false;
    while let Some(event) = run.events.next().await {
        match event.unwrap() {
            AgentEvent::ToolEnded { .. } => {
                was_asleep |= is_anyone_asleep_in(&worktree);
                fs::write(worktree.join("seen"), "").unwrap();
            }
            AgentEvent::Finished(finish) => assert_eq!(finish, Finish::Done),
            _ => {}
        }
    }
    assert!(was_asleep && !is_anyone_asleep_in(&worktree));
}

#[tokio::test]
async fn an_agent_that_does_not_hear_is_stopped_by_force_within_the_limit() {
    let fixture = Fixture::with(&["deaf"]).await.configured(|mut config| {
        config.limits.stop = Duration::from_millis(300);
        config
    });
    let worktree = fixture.worktree();
    for (how, script) in [
        (Stop::Politely, "MODEL: hang"),
        (Stop::Now, "MODEL: hang"),
        (Stop::Politely, "MODEL: bash setsid sleep 1000"),
    ] {
        let run = fixture.runner().start(RunRequest::new(&worktree, script)).await.unwrap();
        if script.contains("sleep") {
            until(|| is_anyone_asleep_in(&worktree)).await;
        } else {
            fixture.until_at_work(1).await;
        }
        run.control.stop(how).await.unwrap();
        assert!(!is_anyone_asleep_in(&worktree));
        assert_eq!(*read(run).await.finish(), Finish::Stopped);
    }
}

#[tokio::test]
async fn an_agent_that_tells_more_than_is_read_waits_and_can_be_stopped() {
    let fixture = Fixture::new().await;
    let request = RunRequest::new(fixture.worktree(), "MODEL: flood 3000000\nMODEL: hang");
    let run = fixture.runner().start(request).await.unwrap();
    fixture.until_at_work(0).await;
    run.control.stop(Stop::Politely).await.unwrap();
    let told = read(run).await;
    assert_eq!(*told.finish(), Finish::Stopped);
    assert!(told.events.len() < 200, "so many events waited: {}", told.events.len());
}

/// A slot that is a kernel lock.
#[derive(Debug)]
struct Lock(File);

impl SlotGuard for Lock {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn is_free(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[tokio::test]
async fn killed_with_9_nothing_of_the_run_lives_on_and_its_slot_is_held_until_then() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree();
    let slot = fixture.path().join("slot");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "ends::owner"])
        .envs(
            fixture
                .config
                .environment
                .changes()
                .iter()
                .filter_map(|(name, value)| value.as_ref().map(|value| (name, value))),
        )
        .env("OWNER_STATE", &fixture.config.state)
        .env("OWNER_GUARD", fixture.path().join("kugetsu-guard"))
        .env("OWNER_WORKTREE", &worktree)
        .env("OWNER_SLOT", &slot)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(said.map_while(Result::ok).any(|line| line.contains("the agent works")));
    assert!(is_anyone_asleep_in(&worktree) && !is_free(&slot));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let start = Instant::now();
    while !is_free(&slot) {
        assert!(start.elapsed() < BOUND, "the slot is held for ever");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_anyone_asleep_in(&worktree));
}

#[tokio::test]
#[ignore = "it is the owner of another test's agent"]
async fn owner() {
    let var = |name: &str| std::env::var_os(name).unwrap();
    let slot = File::create(var("OWNER_SLOT")).unwrap();
    rustix::fs::flock(&slot, FlockOperation::LockExclusive).unwrap();
    let slot = Slot::new(SlotKey::Dev, 0, Arc::new(Lock(slot)));
    let program = std::env::current_exe().unwrap().into_os_string();
    let command = [program].into_iter().chain(programs::AGENT.map(Into::into));
    let id = AgentId::new("acp:owned").unwrap();
    let config = AcpConfig::new(id, command, var("OWNER_STATE"))
        .with_guard(GuardProgram::at(var("OWNER_GUARD")));
    let worktree = std::path::PathBuf::from(var("OWNER_WORKTREE"));
    let script = "MODEL: bash setsid sleep 1000";
    let request = RunRequest::new(&worktree, script).with_slots(vec![slot]);
    let _run = AcpRunner::new(config).start(request).await.unwrap();
    until(|| is_anyone_asleep_in(&worktree)).await;
    println!("\nthe agent works");
    std::future::pending::<()>().await;
}
