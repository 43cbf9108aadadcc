//! What an embedder decides about a command agent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use kugetsu_core::AgentCapabilities;
use kugetsu_core::ids::AgentId;
use kugetsu_guard::{Environment, GuardProgram};

/// What a command agent is, and what it can do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandConfig {
    /// What the agent is called, such as `command:mine`.
    pub id: AgentId,
    /// The program: a path, or a name that is looked up on `PATH`.
    pub program: PathBuf,
    /// Its arguments, the same in every run. Everybody on the machine can read them.
    pub args: Vec<OsString>,
    /// A directory of this agent's own, made when it is needed: its process trees, their temporary
    /// files, and which session works where. Several processes may share it.
    pub state: PathBuf,
    /// What it writes on its standard output.
    pub output: Output,
    /// Whether it can go on with a session, or with a copy of one. It then has to remember what was
    /// said in it; what it cannot do is refused before it is started.
    pub capabilities: AgentCapabilities,
    /// Whether the program itself keeps a PM to reading. If it does not, a PM's run is refused.
    pub keeps_pm: bool,
    /// Changes to the environment that it inherits from this process.
    pub environment: Environment,
    /// What its process trees are called, if they are: see [`label`](kugetsu_guard::label).
    pub label: Option<String>,
    /// Who ends its process trees.
    pub guard: GuardProgram,
    /// How long it has between SIGTERM and SIGKILL when it is stopped politely.
    pub grace: Duration,
    /// How long it may live on after it has said that its turn is over.
    pub linger: Duration,
    /// Its version, for people.
    pub version: Option<String>,
}

/// What a command agent writes on its standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Plain text: whatever it writes, it says.
    #[default]
    Text,
    /// Lines, each an [`AgentEvent`](kugetsu_core::AgentEvent) as JSON, as `kugetsu.event/1` has it.
    Json,
}

impl CommandConfig {
    /// A program without arguments that writes plain text and remembers nothing.
    pub fn new(id: AgentId, program: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            id,
            program: program.into(),
            args: Vec::new(),
            state: state.into(),
            output: Output::default(),
            capabilities: AgentCapabilities::default(),
            keeps_pm: false,
            environment: Environment::new(),
            label: None,
            guard: GuardProgram::find(),
            grace: Duration::from_secs(5),
            linger: Duration::from_secs(15),
            version: None,
        }
    }

    /// Other arguments.
    pub fn with_args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Another kind of output.
    pub fn with_output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// What it can do beside a fresh conversation: [`resume`](AgentCapabilities::resume) and
    /// [`fork`](AgentCapabilities::fork). Nobody can [`answer`](AgentCapabilities::answer) it,
    /// whatever this says.
    pub fn with_capabilities(mut self, capabilities: AgentCapabilities) -> Self {
        self.capabilities = capabilities;
        self.capabilities.answer = false;
        self
    }

    /// Trusts the program to keep a PM to reading: its environment tells it the role.
    pub fn with_pm(mut self, keeps: bool) -> Self {
        self.keeps_pm = keeps;
        self
    }

    /// Changes to the environment that it inherits.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Calls its process trees so: see [`label`](kugetsu_guard::label).
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another guard.
    pub fn with_guard(mut self, guard: GuardProgram) -> Self {
        self.guard = guard;
        self
    }

    /// Another time between SIGTERM and SIGKILL than five seconds.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Another time than 15 seconds for the program to exit after its turn.
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The program's version, for people.
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }
}
