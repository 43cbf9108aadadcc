//! Agents: whoever works on an issue when it is told to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::error::{Failure, Retry, Source};
use crate::event::{KnownTypes, Unknown, foreign};
use crate::ids::{AgentId, AgentSessionId};
use crate::slot::Slot;

/// Runs an agent: one turn of a conversation in one directory.
///
/// # Promises
///
/// * A run works in [`RunRequest::directory`] and nowhere else by its own choice.
/// * The message reaches the agent byte for byte, through no shell and no argument list.
/// * [`AgentEvent::SessionStarted`] comes before anything is said, and a turn in which nothing is
///   said or done has failed.
/// * The request's slots are held until nothing of the run is alive, and no longer.
/// * Nothing waits for an answer that nobody gives: what the agent asks is reported as
///   [`AgentEvent::Asked`] and refused if it is not answered.
/// * The events end with exactly one [`AgentEvent::Finished`] or one error, and then with `None`.
/// * Dropping an [`AgentRun`] stops the agent and everything that it has started, and so does the
///   death of the process that runs it, however it dies.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::agent_runner_conformance!`.
#[async_trait]
pub trait AgentRunner: fmt::Debug + Send + Sync + 'static {
    /// Which agent this is.
    fn id(&self) -> &AgentId;

    /// What it can do. Core refuses what it cannot before it is asked.
    fn capabilities(&self) -> AgentCapabilities;

    /// Which program, in which version, and whether it could run now.
    async fn probe(&self) -> Result<AgentInfo, AgentError>;

    /// Starts a run and returns once the agent has the message or can no longer fail to get it.
    ///
    /// It begins with [`RunRequest::check`]. A session that is not there is
    /// [`AgentError::UnknownSession`]; one that works elsewhere is [`AgentError::WrongDirectory`] with
    /// the directory that it has; a directory that is missing is the same with none.
    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError>;

    /// Making, finding and deleting agent sessions without a run, if the agent can do that.
    fn sessions(&self) -> Option<&dyn AgentSessions> {
        None
    }

    /// Ends what the runner keeps alive between two runs, such as a server, and whatever still runs;
    /// returns when nothing of it is left. A later run starts anew. A runner that keeps nothing alive
    /// has nothing to do.
    async fn shut_down(&self) {}

    /// Whether a run that starts now joins a process that is up or coming up, such as a server, and so
    /// needs little memory of its own. A hint, asked before a start on a machine that is short of it.
    fn is_warm(&self) -> bool {
        false
    }
}

/// Agent sessions outside of a run.
#[async_trait]
pub trait AgentSessions: fmt::Debug + Send + Sync {
    /// Makes a session in which nothing has been said but the briefing.
    async fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError>;

    /// Makes a session that knows all that `from` knows and works in `new.directory`. The returned
    /// session's directory has been verified: it is an error, and no session stays behind, if the
    /// copy would work anywhere else. `from` is unchanged.
    async fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError>;

    /// What is known of a session; `None` if the agent does not have it.
    async fn describe(&self, id: &AgentSessionId) -> Result<Option<AgentSession>, AgentError>;

    /// Deletes a session and all that it holds. Deleting what is not there is done already.
    async fn delete(&self, id: &AgentSessionId) -> Result<(), AgentError>;
}

/// What a new agent session is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewAgentSession {
    /// Where the agent works.
    pub directory: PathBuf,
    /// What people see it called.
    pub title: String,
    /// What the agent may do.
    pub role: Role,
    /// What it knows from the start, as the first words of the conversation; the agent does not
    /// answer it. Used by [`AgentSessions::create`] only.
    pub briefing: Option<String>,
}

impl NewAgentSession {
    /// A session of a dev agent in `directory`.
    pub fn new(directory: impl Into<PathBuf>, title: impl Into<String>) -> Self {
        Self { directory: directory.into(), title: title.into(), role: Role::Dev, briefing: None }
    }

    /// What the agent may do.
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// What it knows from the start.
    pub fn with_briefing(mut self, briefing: impl Into<String>) -> Self {
        self.briefing = Some(briefing.into());
        self
    }
}

/// An agent session as the agent describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentSession {
    /// The agent's own id.
    pub id: AgentSessionId,
    /// Where it works.
    pub directory: PathBuf,
    /// How it was made, for people and for the record, such as `fork+move`. Empty where unknown.
    pub how: String,
}

impl AgentSession {
    /// A session `id` in `directory`, made in the way `how`.
    pub fn new(id: AgentSessionId, directory: impl Into<PathBuf>, how: impl Into<String>) -> Self {
        Self { id, directory: directory.into(), how: how.into() }
    }
}

/// What an agent is for, and so what it may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Works on an issue: may read, write and run programs in its worktree.
    #[default]
    Dev,
    /// Coordinates: may not edit, and may run only `kugetsu` and read-only commands.
    Pm,
}

/// What a runner can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentCapabilities {
    /// [`Conversation::Resume`] works, also after a run that was stopped, by force too.
    pub resume: bool,
    /// [`Conversation::Fork`] works.
    pub fork: bool,
    /// [`AgentControl::answer`] works.
    pub answer: bool,
}

impl AgentCapabilities {
    /// A runner that can resume conversations.
    pub fn with_resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// A runner that can fork conversations.
    pub fn with_fork(mut self) -> Self {
        self.fork = true;
        self
    }

    /// A runner whose questions can be answered.
    pub fn with_answer(mut self) -> Self {
        self.answer = true;
        self
    }
}

/// Which program an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AgentInfo {
    /// The program's path, or how else it is reached.
    pub program: String,
    /// The version that it told.
    pub version: String,
    /// `None` if it could run now, else why not and how to mend it.
    pub trouble: Option<String>,
}

impl AgentInfo {
    /// An agent that could run now.
    pub fn new(program: impl Into<String>, version: impl Into<String>) -> Self {
        Self { program: program.into(), version: version.into(), trouble: None }
    }

    /// An agent that could not run now.
    pub fn with_trouble(mut self, trouble: impl Into<String>) -> Self {
        self.trouble = Some(trouble.into());
        self
    }
}

/// Which conversation a run is a turn of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conversation {
    /// A new one.
    Fresh,
    /// This one goes on. It is an error if the session works in another directory than the run.
    Resume(AgentSessionId),
    /// A new one that knows all that this one knows.
    Fork(AgentSessionId),
}

/// What a run is to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunRequest {
    /// Where the agent works: an absolute path of an existing directory.
    pub directory: PathBuf,
    /// What it is told, of any length and with any character but NUL.
    pub message: String,
    /// Which conversation this is a turn of.
    pub conversation: Conversation,
    /// What people see a new conversation called.
    pub title: String,
    /// What the agent may do.
    pub role: Role,
    /// The slots that are held as long as anything of this run is alive.
    pub slots: Vec<Slot>,
}

impl RunRequest {
    /// A dev agent's fresh conversation in `directory`.
    pub fn new(directory: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            message: message.into(),
            conversation: Conversation::Fresh,
            title: String::new(),
            role: Role::Dev,
            slots: Vec::new(),
        }
    }

    /// Which conversation this is a turn of.
    pub fn with_conversation(mut self, conversation: Conversation) -> Self {
        self.conversation = conversation;
        self
    }

    /// What people see a new conversation called.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// What the agent may do.
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Slots that are held as long as anything of this run is alive.
    pub fn with_slots(mut self, slots: Vec<Slot>) -> Self {
        self.slots = slots;
        self
    }

    /// Refuses what no runner of these capabilities could do. The line calls it before
    /// [`AgentRunner::start`]; runners call it too, since an embedder may use them directly.
    pub fn check(&self, who: &AgentId, can: AgentCapabilities) -> Result<(), AgentError> {
        let unsupported = |operation: &str| AgentError::Unsupported {
            who: who.to_string(),
            operation: operation.to_owned(),
        };
        match &self.conversation {
            Conversation::Resume(_) if !can.resume => return Err(unsupported("resume a session")),
            Conversation::Fork(_) if !can.fork => return Err(unsupported("fork a session")),
            _ => {}
        }
        if self.message.contains('\0') {
            return Err(AgentError::InvalidMessage { why: "it contains a NUL character".into() });
        }
        if self.message.trim().is_empty() {
            return Err(AgentError::InvalidMessage { why: "it is empty".into() });
        }
        if !self.directory.is_absolute() {
            return Err(AgentError::WrongDirectory { wanted: self.directory.clone(), found: None });
        }
        Ok(())
    }
}

/// What an agent does while it runs.
pub type AgentEvents = Pin<Box<dyn Stream<Item = Result<AgentEvent, AgentError>> + Send>>;

/// One turn of an agent. Dropping it stops the agent.
#[non_exhaustive]
pub struct AgentRun {
    /// What the agent does, in order, ending with [`AgentEvent::Finished`] or an error.
    pub events: AgentEvents,
    /// The way to stop it.
    pub control: std::sync::Arc<dyn AgentControl>,
}

impl AgentRun {
    /// A run with these events and this control.
    pub fn new(events: AgentEvents, control: std::sync::Arc<dyn AgentControl>) -> Self {
        Self { events, control }
    }
}

impl fmt::Debug for AgentRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRun").field("control", &self.control).finish_non_exhaustive()
    }
}

/// Stops a run, and answers what it asks.
#[async_trait]
pub trait AgentControl: fmt::Debug + Send + Sync + 'static {
    /// Stops the agent. Returns when it is proven to have stopped, with everything it started, or
    /// with an error. Stopping what has ended is done already. The events then end with
    /// [`Finish::Stopped`], unless the agent had finished before.
    async fn stop(&self, how: Stop) -> Result<(), AgentError>;

    /// Answers a question of [`AgentEvent::Asked`].
    async fn answer(&self, question: &str, answer: &str) -> Result<(), AgentError> {
        let _ = (question, answer);
        Err(AgentError::Unsupported {
            who: "this agent".into(),
            operation: "take an answer".into(),
        })
    }
}

/// How to stop an agent.
///
/// Exhaustive: a runner that did not know a third way could not stop its agent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It may end what it is writing; its session can be continued.
    Politely,
    /// At once, by force.
    Now,
}

/// What an agent did. Named so that the Agent Client Protocol maps one to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AgentEvent {
    /// The conversation has this id. Comes before anything that is said in it.
    SessionStarted {
        /// The agent's own id.
        session: AgentSessionId,
    },
    /// It said something. Pieces of one text may come one by one.
    Message {
        /// What it said.
        text: String,
    },
    /// It thought something.
    Thought {
        /// What it thought.
        text: String,
    },
    /// It began to use a tool.
    ToolStarted {
        /// The call's id, unique in the session.
        call: String,
        /// The tool's name, such as `bash`.
        tool: String,
        /// What it is used for, in a line.
        title: String,
    },
    /// A tool came to its end.
    ToolEnded {
        /// The call's id.
        call: String,
        /// The tool's name.
        tool: String,
        /// Whether the tool did what it was asked.
        ok: bool,
        /// What came of it, cut to a line or two.
        summary: String,
    },
    /// It asked for a permission or an answer.
    Asked {
        /// The question's id, for [`AgentControl::answer`].
        question: String,
        /// What it wants, in words.
        text: String,
        /// Whether it was refused already because nobody may answer.
        refused: bool,
    },
    /// It waits for something outside of it, such as a model provider that fails and is asked
    /// again. A sign of life: whoever sees it knows that the agent is not stuck by itself.
    Waiting {
        /// For what, in words.
        reason: String,
    },
    /// It used up this much more since the last such event.
    Usage(Usage),
    /// The turn is over. Nothing comes after it.
    Finished(Finish),
    /// Something that this version of kugetsu does not know, kept as it was.
    #[serde(untagged)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown(#[serde(deserialize_with = "foreign::<AgentEvent, _>")] Unknown),
}

impl KnownTypes for AgentEvent {
    const NAMES: &'static [&'static str] = &[
        "session_started",
        "message",
        "thought",
        "tool_started",
        "tool_ended",
        "asked",
        "waiting",
        "usage",
        "finished",
    ];
}

/// How a turn ended, by the agent's own account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "how", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// The agent had no more to do.
    Done,
    /// It was stopped from outside.
    Stopped,
    /// It could not go on.
    Failed {
        /// Why.
        failure: Failure,
    },
}

/// What was used up. Costs are in millionths of a US dollar; never a float.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens read, without those from a cache.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens thought.
    pub reasoning: u64,
    /// Tokens read from a cache.
    pub cache_read: u64,
    /// Tokens written to a cache.
    pub cache_write: u64,
    /// Millionths of a US dollar, as the agent reckons it.
    pub cost_micros: u64,
}

impl Usage {
    /// So many tokens in and out.
    pub fn tokens(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Both together; stops at the largest number.
    pub fn plus(self, more: Self) -> Self {
        Self {
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
            reasoning: self.reasoning.saturating_add(more.reasoning),
            cache_read: self.cache_read.saturating_add(more.cache_read),
            cache_write: self.cache_write.saturating_add(more.cache_write),
            cost_micros: self.cost_micros.saturating_add(more.cost_micros),
        }
    }

    /// All tokens together.
    pub fn total(self) -> u64 {
        [self.output, self.reasoning, self.cache_read, self.cache_write]
            .iter()
            .fold(self.input, |sum, part| sum.saturating_add(*part))
    }
}

/// Why an agent could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The program is not there, or not fit.
    #[error("{program} cannot be used: {why}")]
    Missing {
        /// Which program.
        program: String,
        /// What is wrong and how to mend it.
        why: String,
    },
    /// The agent has no such session.
    #[error("the agent has no session {session}")]
    UnknownSession {
        /// Which session.
        session: AgentSessionId,
    },
    /// The session works in another directory than the one that was asked for.
    #[error("the agent would work in {}, not in {}", found.as_deref().unwrap_or(Path::new("no known directory")).display(), wanted.display())]
    WrongDirectory {
        /// What was asked for.
        wanted: PathBuf,
        /// What would have been.
        found: Option<PathBuf>,
    },
    /// The message cannot be sent.
    #[error("the message cannot be sent: {why}")]
    InvalidMessage {
        /// Why.
        why: String,
    },
    /// The agent ended before its turn did.
    #[error("{who} ended before its turn did: {detail}")]
    Died {
        /// Which agent.
        who: String,
        /// How.
        detail: String,
    },
    /// This agent cannot do that.
    #[error("{who} cannot {operation}")]
    Unsupported {
        /// Which agent.
        who: String,
        /// What was asked.
        operation: String,
    },
    /// The backend's own fault.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which agent.
        who: String,
        /// What it was doing, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl AgentError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Missing { .. }
            | Self::WrongDirectory { .. }
            | Self::InvalidMessage { .. }
            | Self::Unsupported { .. } => Retry::Never,
            // A new attempt heals a lost session by making another.
            Self::UnknownSession { .. } | Self::Died { .. } => Retry::Later,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
