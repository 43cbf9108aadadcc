//! What an embedder decides about the runner.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kugetsu_core::ids::AgentId;
use kugetsu_guard::{Environment, GuardProgram};

/// Which agent is run, and what it may do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcpConfig {
    /// What the agent is called, such as `acp:gemini`. It stands in every error and in what is
    /// recorded of a session.
    pub id: AgentId,
    /// The program and its arguments. The program is a path, or a name that is looked up on `PATH`;
    /// no shell has a part in it, and nothing is ever added to it.
    pub command: Vec<OsString>,
    /// A directory of the runner's own, made when it is needed: which session works where, what the
    /// agent said that it can do, and the records of process trees. Several processes may share
    /// it; agents with different commands should not.
    pub state: PathBuf,
    /// Who ends the process tree of the agent.
    pub guard: GuardProgram,
    /// Changes to the environment that the agent inherits from this process.
    pub environment: Environment,
    /// What the runner's process trees are called, if they are: see [`kugetsu_guard::label`].
    pub label: Option<String>,
    /// What the agent is allowed when it asks.
    pub permissions: Permissions,
    /// Whether the agent is trusted to keep the PM's role by itself. No agent can be held to reading
    /// over this protocol, so a PM is refused unless somebody else sees to it, such as a sandbox.
    pub trusted_as_pm: bool,
    /// Whether conversations are forked, if the agent can do that and lists its sessions, so that
    /// a fork's directory can be looked up. Off unless somebody knows the agent: opencode 1.18.33
    /// says that it can, and its forks then work in their origin's directory, where each of them
    /// is refused.
    pub forks: bool,
    /// How long the agent may take for what takes long, and how much it may say.
    pub limits: Limits,
}

/// What an agent is allowed that asks for a permission. Whatever is not allowed is refused at once
/// and told.
///
/// A policy answers questions, and no more: an agent that does not ask is not held by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// To read, search and change what lies in its worktree by all that is told of it, and to run
    /// commands there. `worktree` in settings.
    #[default]
    Worktree,
    /// Everything, for an agent that something else holds, such as a sandbox. `all` in settings.
    All,
    /// Nothing. `none` in settings.
    Nothing,
}

impl FromStr for Permissions {
    type Err = UnknownPermissions;

    fn from_str(text: &str) -> Result<Self, UnknownPermissions> {
        match text {
            "worktree" => Ok(Self::Worktree),
            "all" => Ok(Self::All),
            "none" => Ok(Self::Nothing),
            _ => Err(UnknownPermissions(text.to_owned())),
        }
    }
}

/// A text that names no [`Permissions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPermissions(String);

impl fmt::Display for UnknownPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} are no permissions: `worktree`, `all` and `none` are", self.0)
    }
}

impl std::error::Error for UnknownPermissions {}

/// Bounds on an agent's time and words.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// From the start of the agent until it has said what it can.
    pub boot: Duration,
    /// For one request that is not a turn, such as to make a session.
    pub request: Duration,
    /// From a request to stop until force is used.
    pub stop: Duration,
    /// For processes that end by themselves or listen to SIGTERM, before SIGKILL.
    pub grace: Duration,
    /// How long the pieces of one line of text are waited for before they are told.
    pub look: Duration,
    /// The longest line that the agent may write, in bytes. A longer one ends the run.
    pub line: usize,
    /// How many lines that are no messages the agent may write to its standard output, where it
    /// should write none.
    pub strays: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            boot: Duration::from_mins(1),
            request: Duration::from_mins(1),
            stop: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            look: Duration::from_secs(2),
            line: 8 << 20,
            strays: 100,
        }
    }
}

impl AcpConfig {
    /// The agent `id`, started by this command, with the runner's state in this directory.
    pub fn new(
        id: AgentId,
        command: impl IntoIterator<Item = impl Into<OsString>>,
        state: impl Into<PathBuf>,
    ) -> Self {
        Self {
            id,
            command: command.into_iter().map(Into::into).collect(),
            state: state.into(),
            guard: GuardProgram::default(),
            environment: Environment::default(),
            label: None,
            permissions: Permissions::default(),
            trusted_as_pm: false,
            forks: false,
            limits: Limits::default(),
        }
    }

    /// Another guard.
    pub fn with_guard(mut self, guard: GuardProgram) -> Self {
        self.guard = guard;
        self
    }

    /// Changes to the environment that the agent inherits.
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Calls the runner's process trees so: see [`kugetsu_guard::label`].
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Other answers to what the agent asks.
    pub fn with_permissions(mut self, permissions: Permissions) -> Self {
        self.permissions = permissions;
        self
    }

    /// Trusts the agent to keep the PM's role by itself.
    pub fn with_trust_as_pm(mut self, trusted: bool) -> Self {
        self.trusted_as_pm = trusted;
        self
    }

    /// Forks conversations, if the agent can.
    pub fn with_forks(mut self, forks: bool) -> Self {
        self.forks = forks;
        self
    }

    /// Other bounds.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
