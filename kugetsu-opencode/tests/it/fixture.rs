//! The real opencode in a home of its own, against a scripted model.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kugetsu_core::agent::{AgentError, AgentEvent, AgentRun, Finish, RunRequest};
use kugetsu_core::{AgentRunner as _, AgentSessionId};
use kugetsu_opencode::{Engine, Environment, GuardProgram, Limits, OpencodeConfig, OpencodeRunner};
use kugetsu_testkit::model::ScriptedModel;
use kugetsu_testkit::sandbox::{OpencodeSandbox, SampleRepository, opencode_program};
use rustix::fs::FlockOperation;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

/// Far more than anything here takes; nothing waits for it but a failing test.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

pub(crate) struct Fixture {
    pub(crate) runner: OpencodeRunner,
    pub(crate) model: ScriptedModel,
    pub(crate) repository: SampleRepository,
    // Dropped in this order: what still runs would write to directories that are gone.
    _quiet: Quiet,
    sandbox: OpencodeSandbox,
    directory: TempDir,
}

/// Waits, when it is dropped, until nothing runs any more that this state knows of.
struct Quiet(PathBuf);

impl Drop for Quiet {
    fn drop(&mut self) {
        let start = Instant::now();
        let locks = std::fs::read_dir(self.0.join("trees")).into_iter().flatten().flatten();
        for lock in
            locks.map(|entry| entry.path()).filter(|path| path.extension() == Some("lock".as_ref()))
        {
            let Ok(lock) = File::open(lock) else { continue };
            while rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
                && start.elapsed() < BOUND
            {
                std::thread::yield_now();
            }
        }
    }
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn of(engine: Engine) -> Self {
        Self::with(|config| config.with_engine(engine)).await
    }

    pub(crate) async fn with(change: impl FnOnce(OpencodeConfig) -> OpencodeConfig) -> Self {
        let model = ScriptedModel::start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let sandbox = OpencodeSandbox::new(&model.base_url()).unwrap();
        let repository = SampleRepository::new(&directory.path().join("repository")).unwrap();
        let env = sandbox.env();
        let state = directory.path().join("state");
        let config = change(config(&state, env));
        Self {
            runner: OpencodeRunner::new(config).unwrap(),
            model,
            repository,
            sandbox,
            _quiet: Quiet(state),
            directory,
        }
    }

    /// Another runner on the same state, as another process would have it.
    pub(crate) fn another_runner(&self) -> OpencodeRunner {
        OpencodeRunner::new(config(&self.state(), self.sandbox.env())).unwrap()
    }

    /// Another runner on the same state, with an engine of its own.
    pub(crate) fn another_runner_of(&self, engine: Engine) -> OpencodeRunner {
        let config = config(&self.state(), self.sandbox.env()).with_engine(engine);
        OpencodeRunner::new(config).unwrap()
    }

    /// What another process needs to have such a runner: see [`owner_config`].
    pub(crate) fn owner_env(&self) -> Vec<(OsString, OsString)> {
        let mut env = self.sandbox.env();
        env.push(("OWNER_STATE".into(), self.state().into()));
        env
    }

    /// The environment of a program in this home.
    pub(crate) fn env(&self) -> Vec<(OsString, OsString)> {
        self.sandbox.env()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The home directory of whoever runs opencode here.
    pub(crate) fn home(&self) -> PathBuf {
        self.sandbox.home()
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A worktree of the repository, by its real name.
    pub(crate) fn worktree(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join("worktrees").join(name);
        let path_text = path.to_str().unwrap();
        self.repository.git(&["worktree", "add", "-q", "-b", name, path_text]).unwrap();
        path.canonicalize().unwrap()
    }

    /// Runs to the end.
    pub(crate) async fn run(&self, request: RunRequest) -> Told {
        read(self.runner.start(request).await.unwrap()).await
    }
}

fn config(state: &Path, env: Vec<(OsString, OsString)>) -> OpencodeConfig {
    let mut limits = Limits::default();
    // Each retry of opencode's own takes twice as long as the one before.
    limits.provider_retries = 2;
    OpencodeConfig::new(state)
        .with_limits(limits)
        .with_program(opencode_program())
        .with_guard(GuardProgram::at(env!("CARGO_BIN_EXE_opencode-test-guard")))
        .with_environment(env.into_iter().collect::<Environment>())
}

/// The configuration in a process that was started with [`Fixture::owner_env`].
pub(crate) fn owner_config() -> OpencodeConfig {
    config(Path::new(&std::env::var_os("OWNER_STATE").unwrap()), Vec::new())
}

/// Waits until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.expect("it does not become so");
}

/// All that a run told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<AgentEvent>,
    pub(crate) error: Option<AgentError>,
}

/// Reads a run to its end.
pub(crate) async fn read(mut run: AgentRun) -> Told {
    let mut told = Told { events: Vec::new(), error: None };
    let read = async {
        while let Some(event) = run.events.next().await {
            match event {
                Ok(event) => told.events.push(event),
                Err(error) => told.error = Some(error),
            }
        }
    };
    tokio::time::timeout(BOUND, read).await.expect("the run does not end");
    told
}

impl Told {
    pub(crate) fn session(&self) -> AgentSessionId {
        let Some(AgentEvent::SessionStarted { session }) = self.events.first() else {
            panic!("the session does not come first: {self:?}")
        };
        session.clone()
    }

    pub(crate) fn text(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            AgentEvent::Message { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    pub(crate) fn finish(&self) -> &Finish {
        match (self.events.last(), &self.error) {
            (Some(AgentEvent::Finished(finish)), None) => finish,
            _ => panic!("the run did not finish: {self:?}"),
        }
    }

    pub(crate) fn failure(&self) -> &kugetsu_core::Failure {
        match self.finish() {
            Finish::Failed { failure } => failure,
            _ => panic!("the run did not fail: {self:?}"),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.events.last(), Some(AgentEvent::Finished(Finish::Done)))
    }
}
