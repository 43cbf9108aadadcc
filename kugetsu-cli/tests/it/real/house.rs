//! A home of kugetsu with everything real in it but the model.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use kugetsu_core::{Clock, IssueRef, WorkerId};
use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap, Source};
use kugetsu_opencode::{GuardProgram, OpencodeConfig, OpencodeRunner};
use kugetsu_queue::{
    Backends, Engine, FileSlots, SlotLimits, SqliteStore, SystemChance, SystemClock,
};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(super) const REPOSITORY: &str = "git.example/acme/widgets";

/// A temporary home, a repository of an operator's, a model, and an initialised `KUGETSU_DIR`.
pub(super) struct House {
    pub(super) model: ScriptedModel,
    pub(super) repository: SampleRepository,
    sandbox: OpencodeSandbox,
    root: TempDir,
}

/// What a finished command has left.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl House {
    /// A house in which `kugetsu init` has been run.
    pub(super) async fn new() -> Self {
        Self::empty().await.initialised().await
    }

    /// The same with these settings.
    pub(super) async fn with_config(text: &str) -> Self {
        let house = Self::empty().await;
        fs::write(house.directory().join("config.toml"), text).unwrap();
        house.initialised().await
    }

    async fn initialised(self) -> Self {
        let ran = self.run(&["init"]).await;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        self
    }

    async fn empty() -> Self {
        let model = ScriptedModel::start().await.unwrap();
        let sandbox = OpencodeSandbox::new(&model.base_url()).unwrap();
        let root = TempDir::with_prefix("kugetsu-house-").unwrap();
        let repository = SampleRepository::with_commits(&root.path().join("checkout"), 2).unwrap();
        let house = Self { model, repository, sandbox, root };
        fs::create_dir_all(house.directory()).unwrap();
        let map = serde_json::json!({ REPOSITORY: house.repository.path() });
        fs::write(house.directory().join("repos.json"), map.to_string()).unwrap();
        house
    }

    /// `KUGETSU_DIR`.
    pub(super) fn directory(&self) -> PathBuf {
        self.root.path().join("kugetsu")
    }

    /// A directory beside `KUGETSU_DIR`.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let place = self.root.path().join(name);
        fs::create_dir_all(&place).unwrap();
        place
    }

    /// The command with these arguments, in this house.
    pub(super) fn kugetsu(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.sandbox.env())
            .env("KUGETSU_DIR", self.directory())
            .env("KUGETSU_OPENCODE", opencode_program())
            // However little room there is where these tests run.
            .env("KUGETSU_MEMORY_RESERVE_MB", "0")
            .env("KUGETSU_DISK_RESERVE_MB", "0")
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs the command to its end.
    pub(super) async fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ran {
        finish(self.kugetsu(arguments).spawn().unwrap()).await
    }

    /// What the opencode program says itself, asked as a user would ask it.
    pub(super) async fn opencode(&self, arguments: &[&str]) -> Value {
        let output = self.ask_opencode(arguments).await;
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Deletes a session behind kugetsu's back.
    pub(super) async fn forget(&self, session: &str) {
        let output = self.ask_opencode(&["session", "delete", session]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs opencode as its user does without kugetsu, on a database of the user's own.
    pub(super) async fn users_opencode(&self, arguments: &[&str], directory: &Path) -> String {
        let output = Command::new(opencode_program())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.sandbox.env())
            .current_dir(directory)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Where opencode keeps what is the user's own.
    pub(super) fn users_data(&self) -> PathBuf {
        self.sandbox.home().join(".local/share/opencode")
    }

    async fn ask_opencode(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(opencode_program())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.sandbox.env())
            .env("OPENCODE_DB", self.directory().join("state/opencode/opencode.db"))
            .current_dir(self.root.path())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap()
    }

    /// The parts of the house as an embedder would put them together, in a state of their own.
    pub(super) async fn engine(&self, limit: u32) -> (Engine, Arc<OpencodeRunner>) {
        let state = self.place("embedded");
        let store = Arc::new(SqliteStore::open(state.join("kugetsu.db")).await.unwrap());
        let slots = FileSlots::open(state.join("slots"), SlotLimits::new(limit)).unwrap();
        let source = Source::parse(self.repository.path().to_str().unwrap()).unwrap();
        let sources =
            RepositoryMap::new(Arc::new(HttpsSources)).with(REPOSITORY.parse().unwrap(), source);
        let worktrees =
            GitWorktrees::new(state.join("worktrees"), state.join("repos"), Arc::new(sources));
        let config = OpencodeConfig::new(state.join("opencode"))
            .with_program(opencode_program())
            .with_guard(GuardProgram::at(env!("CARGO_BIN_EXE_kugetsu")))
            .with_environment(self.sandbox.env().into_iter().collect());
        let runner = Arc::new(OpencodeRunner::new(config).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new().unwrap());
        let agent = Arc::clone(&runner);
        let backends = Backends::new(
            (store.clone(), store),
            Arc::new(slots),
            Arc::new(worktrees),
            agent,
            (clock, Arc::new(SystemChance)),
        );
        let home = self.place("embedded/home").canonicalize().unwrap();
        let engine = Engine::new(backends, WorkerId::new("embedder").unwrap(), home);
        engine.init().await.unwrap();
        (engine, runner)
    }

    /// The processes that live in this house: opencode, its tools, guards. Not kugetsu itself.
    pub(super) fn processes(&self, but: Option<u32>) -> Vec<Pid> {
        let home = self.sandbox.home();
        let marker = home.to_str().unwrap().as_bytes();
        let lives_here = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.windows(marker.len()).any(|part| part == marker)
        };
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| but.is_none_or(|but| i64::from(but) != i64::from(*pid)))
            .filter(lives_here)
            .filter_map(Pid::from_raw)
            .collect()
    }
}

impl Drop for House {
    /// A house is left by everybody: what lives on would hide a fault and disturb the next test.
    fn drop(&mut self) {
        let left = self.processes(None);
        if !std::thread::panicking() {
            until_dead(&left, 10);
        }
    }
}

/// Waits until none of these processes is alive any more.
///
/// # Panics
///
/// If one is after so many seconds.
pub(super) fn until_dead(processes: &[Pid], seconds: i64) {
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    for pid in processes {
        // One that cannot be opened is gone.
        let Ok(pidfd) = pidfd_open(*pid, PidfdFlags::empty()) else { continue };
        let wait = || poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit));
        let ended = retry_on_intr(wait).unwrap();
        let what = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        assert_eq!(ended, 1, "{pid:?} is still alive: {}", String::from_utf8_lossy(&what));
    }
}

/// Waits for the end of the command.
pub(super) async fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().await.unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Reads the events of a command that runs with `--json` until one is of this type for the n-th
/// time.
pub(super) async fn until_told(child: &mut Child, kind: &str, times: usize) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = 0;
    while let Some(line) = lines.next_line().await.unwrap() {
        if kind_of(&serde_json::from_str(&line).unwrap()) == kind {
            seen += 1;
            if seen == times {
                // Whoever writes on must not die of a closed pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return;
            }
        }
    }
    panic!("the command ended before it told {kind} {times} times");
}

impl Ran {
    /// The events that a command with `--json` has told.
    pub(super) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The data of the only event of this type.
    pub(super) fn told(&self, kind: &str) -> Value {
        let mut found = self.events().into_iter().filter(|event| kind_of(event) == kind);
        let event = found.next().unwrap_or_else(|| panic!("no {kind}: {self:?}"));
        assert!(found.next().is_none(), "more than one {kind}: {self:?}");
        event["what"]["data"].clone()
    }

    /// The session in which the agent worked.
    pub(super) fn session(&self) -> String {
        self.told("session_ready")["session"].as_str().unwrap().to_owned()
    }

    /// The worktree in which the agent worked.
    pub(super) fn worktree(&self) -> PathBuf {
        PathBuf::from(self.told("worktree_ready")["path"].as_str().unwrap())
    }

    /// What the agent said at last.
    pub(super) fn answer(&self) -> String {
        let settled = self.told("settled");
        let answer = &settled["outcome"]["report"]["answer"];
        answer.as_str().unwrap_or_else(|| panic!("no answer: {self:?}")).to_owned()
    }
}

/// The type of an event; of what an agent did, the type of that.
pub(super) fn kind_of(event: &Value) -> &str {
    let what = &event["what"];
    match what["type"].as_str().unwrap() {
        "agent" => what["data"]["type"].as_str().unwrap(),
        kind => kind,
    }
}

pub(super) fn issue(number: u64) -> String {
    format!("{REPOSITORY}#{number}")
}

pub(super) fn reference(number: u64) -> IssueRef {
    issue(number).parse().unwrap()
}

/// Every file below a directory with what is in it, to see that nothing has been touched.
pub(super) fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else {
                // A pipe would never end.
                let text = if kind.is_file() { fs::read(entry.path()).unwrap() } else { vec![] };
                found.insert(entry.path(), text);
            }
        }
    }
    found
}
