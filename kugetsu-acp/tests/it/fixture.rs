//! A runner with an agent, against a scripted model.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kugetsu_acp::{AcpConfig, AcpRunner, Environment, GuardProgram, Limits};
use kugetsu_core::agent::{AgentError, AgentEvent, AgentRun, Finish, RunRequest};
use kugetsu_core::{AgentId, AgentRunner as _, AgentSessionId, Failure};
use kugetsu_testkit::fake::FakeAcp;
use kugetsu_testkit::model::{Recorded, ScriptedModel};
use rustix::fs::FlockOperation;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;

use crate::programs;

/// Far more than anything here takes; nothing waits for it but a failing test.
pub(crate) const BOUND: Duration = Duration::from_mins(2);

pub(crate) struct Fixture {
    pub(crate) config: AcpConfig,
    pub(crate) model: ScriptedModel,
    directories: AtomicU32,
    // Dropped in this order: what still runs would write to directories that are gone.
    _quiet: Quiet,
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
    /// A well-behaved agent.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A fake agent with these manners.
    pub(crate) async fn with(manners: &[&str]) -> Self {
        let model = ScriptedModel::start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let agent = FakeAcp::new(model.base_url(), directory.path().join("fake"))
            .with_manners(manners.iter().copied());
        let program = std::env::current_exe().unwrap();
        let command = [program.into_os_string()].into_iter().chain(programs::AGENT.map(Into::into));
        let environment: Environment = agent.variables().into_iter().collect();
        Self::of(model, directory, command, environment)
    }

    /// The agent of this command, in this environment.
    pub(crate) fn of(
        model: ScriptedModel,
        directory: TempDir,
        command: impl IntoIterator<Item = std::ffi::OsString>,
        environment: Environment,
    ) -> Self {
        let state = directory.path().join("state");
        let mut limits = Limits::default();
        limits.grace = Duration::from_millis(500);
        let config = AcpConfig::new(AgentId::new("acp:fake").unwrap(), command, &state)
            .with_guard(GuardProgram::at(programs::guard_in(directory.path())))
            .with_environment(environment)
            .with_forks(true)
            .with_limits(limits);
        let directories = AtomicU32::new(0);
        Self { config, model, directories, _quiet: Quiet(state), directory }
    }

    /// The same with another configuration.
    pub(crate) fn configured(mut self, change: impl FnOnce(AcpConfig) -> AcpConfig) -> Self {
        self.config = change(self.config);
        self
    }

    /// A runner on the state, as another process would have it.
    pub(crate) fn runner(&self) -> AcpRunner {
        AcpRunner::new(self.config.clone())
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Another directory at each call, by its real name.
    pub(crate) fn worktree(&self) -> PathBuf {
        let number = self.directories.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.path().join(format!("worktree-{number}"));
        std::fs::create_dir(&path).unwrap();
        path.canonicalize().unwrap()
    }

    /// Runs to the end.
    pub(crate) async fn run(&self, request: RunRequest) -> Told {
        read(self.runner().start(request).await.unwrap()).await
    }

    /// A turn with this script in a directory of its own.
    pub(crate) async fn turn(&self, script: &str) -> Told {
        self.run(RunRequest::new(self.worktree(), script)).await
    }

    pub(crate) async fn until_at_work(&self, turns: usize) {
        let at_work = |requests: &[Recorded]| {
            requests.iter().filter(|request| request.ended.is_none()).count() == turns
        };
        self.model.wait_for(at_work).await;
    }
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

    pub(crate) fn failure(&self) -> &Failure {
        match self.finish() {
            Finish::Failed { failure } => failure,
            _ => panic!("the run did not fail: {self:?}"),
        }
    }

    pub(crate) fn assert_done(&self) {
        assert_eq!(*self.finish(), Finish::Done, "{self:?}");
    }

    /// What was asked and refused.
    pub(crate) fn refused(&self) -> Vec<&str> {
        let asked = self.events.iter().filter_map(|event| match event {
            AgentEvent::Asked { text, refused: true, .. } => Some(text.as_str()),
            _ => None,
        });
        asked.collect()
    }
}
