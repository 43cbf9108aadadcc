//! What an embedder decides about the runner.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::guard::GuardProgram;
use crate::rules::RuleBook;

/// What the opencode runner is to be like.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpencodeConfig {
    /// The program: a path, or a name that is looked up on `PATH`.
    pub program: PathBuf,
    /// A directory of the runner's own, made when it is needed: opencode's database, its servers'
    /// locks and logs, and their temporary files. Several processes may share it.
    pub state: PathBuf,
    /// How opencode is driven.
    pub engine: Engine,
    /// Who ends the process tree of opencode.
    pub guard: GuardProgram,
    /// Changes to the environment that opencode inherits from this process.
    pub environment: Environment,
    /// Whether a repository's own `opencode.json` and `.opencode/` are read. They can start
    /// programs before anything is asked, so they are not, unless their author is trusted.
    pub project_config: bool,
    /// What agents may do, by role.
    pub rules: RuleBook,
    /// The model, as `provider/model`; without, opencode's own choice.
    pub model: Option<String>,
    /// How long opencode may take for what takes long, and what it may use.
    pub limits: Limits,
}

/// How opencode is driven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// One supervised `opencode serve` for all runs of this runner: little memory, live events.
    #[default]
    Server,
    /// One `opencode run` for each run: more memory and time, where no server can be had.
    Run,
}

/// Bounds on opencode's time and memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// From the start of a server until it listens.
    pub boot: Duration,
    /// For one request to the server, and for one short command.
    pub request: Duration,
    /// From a request to stop until force is used.
    pub stop: Duration,
    /// For processes that listen to SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// Between two looks at what a busy session asks, beside the events that tell it.
    pub look: Duration,
    /// A server without runs is ended when it holds more memory than this, in bytes.
    pub memory: u64,
    /// How often in a row the model's provider may fail within one turn, before the turn does.
    pub provider_retries: u64,
    /// How long a model's provider whose server is at fault may ask to wait; if it asks for more,
    /// the turn fails, and whoever retries it waits without an agent.
    pub provider_wait: Duration,
    /// How long a turn may wait, in all, for a provider that takes no more: a rate limit, a quota. If
    /// it would be longer, the turn ends with [`Cause::Limit`](kugetsu_core::error::Cause::Limit).
    pub provider_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boot: Duration::from_mins(1),
            request: Duration::from_mins(1),
            stop: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            look: Duration::from_secs(2),
            memory: 1 << 30,
            provider_retries: 8,
            provider_wait: Duration::from_mins(2),
            provider_patience: Duration::from_secs(30),
        }
    }
}

/// Changes to an environment, in order. It may hold secrets and never shows a value.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, Option<OsString>)>);

impl Environment {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable.
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable.
    pub fn without(mut self, name: impl Into<OsString>) -> Self {
        self.0.push((name.into(), None));
        self
    }

    pub(crate) fn changes(&self) -> &[(OsString, Option<OsString>)] {
        &self.0
    }

    /// What the variable will be in a process that inherits ours with these changes.
    pub(crate) fn value_of(&self, name: &str) -> Option<OsString> {
        match self.0.iter().rev().find(|(changed, _)| changed == OsStr::new(name)) {
            Some((_, value)) => value.clone(),
            None => std::env::var_os(name),
        }
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), Some(value.into()))).collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl OpencodeConfig {
    /// `opencode` from `PATH`, driven through a server, with its state in this directory.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            program: PathBuf::from("opencode"),
            state: state.into(),
            engine: Engine::default(),
            guard: GuardProgram::default(),
            environment: Environment::default(),
            project_config: false,
            rules: RuleBook::default(),
            model: None,
            limits: Limits::default(),
        }
    }

    /// Another program: a path, or a name that is looked up on `PATH`.
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    /// Another way of driving opencode.
    pub fn with_engine(mut self, engine: Engine) -> Self {
        self.engine = engine;
        self
    }

    /// Another guard.
    pub fn with_guard(mut self, guard: GuardProgram) -> Self {
        self.guard = guard;
        self
    }

    /// Changes to the environment that opencode inherits.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Reads each repository's own configuration of opencode, which may run programs.
    pub fn with_project_config(mut self, read: bool) -> Self {
        self.project_config = read;
        self
    }

    /// Other rules about what agents may do.
    pub fn with_rules(mut self, rules: RuleBook) -> Self {
        self.rules = rules;
        self
    }

    /// Another model than opencode's own choice, as `provider/model`.
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Other bounds.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
