//! What an embedder decides about the runner.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kugetsu_guard::{Environment, GuardProgram};

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
    /// What the runner's process trees are called, if they are: see [`label`](crate::label).
    pub label: Option<String>,
    /// Servers of tools for every agent of this runner, by name, beside those that the user has set
    /// up in opencode.
    pub tools: BTreeMap<String, ToolServer>,
    /// The program that agents may run with any arguments in [our own shell](crate::shell), which
    /// then takes the place of every other; without, the user's own shell runs what they like.
    pub narrow_shell: Option<PathBuf>,
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

/// A program that offers tools over its standard streams, as the Model Context Protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolServer {
    /// The program and its arguments. opencode starts it, so that it belongs to the agents' tree.
    pub command: Vec<String>,
}

impl ToolServer {
    /// This program with these arguments.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect() }
    }
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
    /// A server that holds more memory than this, in bytes, gets no more runs: it is ended, once those
    /// that it has are over. Meanwhile there is another one. What counts is the resident memory of the
    /// server's own process, without its tools.
    pub memory: u64,
    /// A server is ended when nobody has used it for so long.
    pub idle: Duration,
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
            idle: Duration::from_mins(5),
            provider_retries: 8,
            provider_wait: Duration::from_mins(2),
            provider_patience: Duration::from_secs(30),
        }
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
            label: None,
            tools: BTreeMap::new(),
            narrow_shell: None,
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

    /// Calls the runner's process trees so: see [`label`](crate::label).
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Gives every agent the tools of this server. The agents know a tool as `name_tool`.
    pub fn with_tools(mut self, name: impl Into<String>, server: ToolServer) -> Self {
        self.tools.insert(name.into(), server);
        self
    }

    /// Has agents run their commands in [our own shell](crate::shell), which runs this program and
    /// a few that only read, and nothing else.
    pub fn with_narrow_shell(mut self, program: impl Into<PathBuf>) -> Self {
        self.narrow_shell = Some(program.into());
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
