//! The owner's side: what runs under a guard, and how it ends.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use kugetsu_guard::proc::Process;
use kugetsu_guard::{
    Environment, GuardError, GuardProgram, Input, Plan, StartError, Started, Tree, Trees,
};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStderr, ChildStdout};

/// Far more than any of this takes; the tests wait for events, not for time.
const BOUND: Duration = Duration::from_mins(1);

struct Fixture {
    trees: Trees,
    directory: TempDir,
}

/// A tree, and what it says line by line.
struct Running {
    tree: Tree,
    lines: Lines<BufReader<ChildStdout>>,
    /// Kept open: a shell has something to say there, too.
    _stderr: ChildStderr,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { trees: Trees::open(directory.path().join("state")).unwrap(), directory }
    }

    fn plan(&self, script: &str) -> Plan {
        Plan::new("test", "/bin/sh", self.directory.path())
            .with_guard(GuardProgram::at(env!("CARGO_BIN_EXE_kugetsu-guard")))
            .with_args(["-c", script])
    }

    async fn start(&self, plan: Plan) -> Running {
        let Started { tree, stdout, stderr, .. } = self.trees.start(plan).await.unwrap();
        Running { tree, lines: BufReader::new(stdout).lines(), _stderr: stderr }
    }

    /// The names of what is recorded.
    fn records(&self) -> Vec<PathBuf> {
        let entries = ["trees", "tmp"].map(|name| self.trees.root().join(name));
        let entries = entries.iter().flat_map(|place| fs::read_dir(place).unwrap());
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Running {
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(BOUND, self.lines.next_line()).await;
        line.expect("nothing is said").unwrap().expect("nothing more is said")
    }

    async fn wait(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(BOUND, self.tree.wait()).await;
        ended.expect("the tree does not end").unwrap().code()
    }
}

#[tokio::test]
async fn a_program_answers_for_as_long_as_its_input_is_open() {
    let fixture = Fixture::new();
    let (input, mut stdin) = Input::pipe().unwrap();
    let script = "while read word; do echo got $word; done; echo end; exit 5";
    let mut first = fixture.start(fixture.plan(script).with_input(input)).await;
    // Another that is started meanwhile gets nothing of it.
    let (input, another) = Input::pipe().unwrap();
    let mut second = fixture.start(fixture.plan("echo here; cat; exit 6").with_input(input)).await;
    assert_eq!(second.line().await, "here");
    for word in ["one", "two"] {
        stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        assert_eq!(first.line().await, format!("got {word}"));
    }
    drop(stdin);
    assert_eq!(first.line().await, "end");
    assert_eq!(first.wait().await, Some(5));
    drop(another);
    assert_eq!(second.wait().await, Some(6));
    assert_eq!(fixture.records(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn whoever_writes_what_nobody_can_read_is_told() {
    let fixture = Fixture::new();
    let (input, mut stdin) = Input::pipe().unwrap();
    let plan = fixture.plan("exec 0<&-; echo closed; exec sleep 1000").with_input(input);
    let mut running = fixture.start(plan).await;
    assert_eq!(running.line().await, "closed");
    // The guard may just be about to let go of what it has handed on.
    let error = loop {
        if let Err(error) = stdin.write_all(b"word\n").await {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    running.tree.end();
    running.wait().await;
}

#[tokio::test]
async fn more_than_a_pipe_holds_is_read_whole() {
    let fixture = Fixture::new();
    let (input, mut stdin) = Input::pipe().unwrap();
    let mut running = fixture.start(fixture.plan("wc -c").with_input(input)).await;
    stdin.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    drop(stdin);
    assert_eq!(running.line().await.trim(), (1 << 20).to_string());
    let plan = fixture.plan("wc -c").with_input(vec![b'x'; 1 << 20]);
    assert_eq!(fixture.start(plan).await.line().await.trim(), (1 << 20).to_string());
}

/// Listens to SIGTERM, says so, and does not go.
const STUBBORN: &str = "trap 'echo asked' TERM; echo ready; while :; do sleep 1000 & wait $!; done";

#[tokio::test]
async fn the_end_without_grace_takes_none_also_while_one_is_running() {
    let fixture = Fixture::new();
    for is_asked_first in [false, true] {
        let plan = fixture.plan(STUBBORN).with_grace(BOUND * 100);
        let mut running = fixture.start(plan).await;
        assert_eq!(running.line().await, "ready");
        if is_asked_first {
            running.tree.end();
            assert_eq!(running.line().await, "asked");
        }
        running.tree.end_now();
        assert_eq!(running.wait().await, Some(128 + 9));
    }
}

#[tokio::test]
async fn a_tree_that_is_dropped_ends_and_lets_go_of_the_locks_that_it_held() {
    let fixture = Fixture::new();
    let path = fixture.directory.path().join("slot");
    let slot = File::create(&path).unwrap();
    rustix::fs::flock(&slot, FlockOperation::LockExclusive).unwrap();
    let plan = fixture.plan("(setsid sleep 1000 &); echo ready; exec sleep 1000");
    let mut running = fixture.start(plan.inheriting(&slot).unwrap()).await;
    assert_eq!(running.line().await, "ready");
    drop(slot);
    let other = File::open(&path).unwrap();
    let is_free =
        |other: &File| rustix::fs::flock(other, FlockOperation::NonBlockingLockExclusive).is_ok();
    assert!(!is_free(&other), "nobody holds the slot");
    drop(running);
    let free = tokio::task::spawn_blocking(move || {
        rustix::fs::flock(&other, FlockOperation::LockExclusive).unwrap();
    });
    tokio::time::timeout(BOUND, free).await.expect("somebody still holds the slot").unwrap();
}

#[tokio::test]
async fn a_tree_whose_guard_was_killed_is_ended_by_whoever_waits_for_it() {
    let fixture = Fixture::new();
    let plan = fixture.plan("(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000");
    let mut running = fixture.start(plan).await;
    let left = Process::of(running.line().await.parse().unwrap()).unwrap();
    let guard = running.tree.guard().unwrap();
    rustix::process::kill_process(Pid::from_raw(guard.pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(running.wait().await, None);
    assert!(!left.is_alive());
    assert_eq!(fixture.records(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_program_has_the_environment_that_was_planned_and_a_directory_of_its_own() {
    let fixture = Fixture::new();
    let script = "echo $GIVEN-${HOME-none}-$KUGETSU_TREE; echo $TMPDIR; pwd; echo $PWD; cat";
    let environment = Environment::new().with("GIVEN", "secret").without("HOME");
    assert!(!format!("{environment:?}").contains("secret"));
    let plan = fixture.plan(script).with_environment(environment).with_label("dev /home");
    assert!(!format!("{plan:?}").contains("secret"));
    let mut running = fixture.start(plan).await;
    assert_eq!(running.line().await, "secret-none-dev /home");
    assert_eq!(PathBuf::from(running.line().await), fixture.trees.tmp().join(running.tree.name()));
    let (pwd, named) = (running.line().await, running.line().await);
    assert_eq!(pwd, named);
    // There was nothing to read.
    assert_eq!(running.wait().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_started_is_said_and_leaves_nothing() {
    let fixture = Fixture::new();
    let nowhere = GuardProgram::at("/nowhere/guard");
    let error = fixture.trees.start(fixture.plan("").with_guard(nowhere)).await.unwrap_err();
    assert!(matches!(error, StartError::Guard(GuardError::NotThere { .. })), "{error}");
    assert_eq!(fixture.records(), Vec::<PathBuf>::new());

    let mut plan = fixture.plan("");
    plan.program = "/nowhere/program".into();
    let Started { mut tree, mut stderr, .. } = fixture.trees.start(plan).await.unwrap();
    let mut said = String::new();
    stderr.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("cannot start /nowhere/program"), "{said}");
    assert_eq!(tree.wait().await.unwrap().code(), Some(127));
    assert_eq!(fixture.records(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_living_owners_trees_are_no_leftovers_and_looking_makes_nothing() {
    let fixture = Fixture::new();
    let mut running = fixture.start(fixture.plan("echo ready; exec sleep 1000")).await;
    assert_eq!(running.line().await, "ready");
    let another = Trees::there(fixture.trees.root()).unwrap().unwrap();
    assert_eq!(another.leftovers().unwrap(), []);
    assert_eq!(another.recover().unwrap(), []);
    running.tree.end();
    running.wait().await;
    assert!(Trees::there(fixture.directory.path().join("nowhere")).unwrap().is_none());
    assert!(!fixture.directory.path().join("nowhere").exists());
}
