//! Sessions: kugetsu's records of conversations with agents.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Retry, Source};
use crate::ids::{AgentId, AgentSessionId, Revision, SessionId};
use crate::issue::{IssueRef, RepoRef};
use crate::store::Expected;
use crate::time::Timestamp;

/// Which conversation a session is. There is at most one session of each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionKind {
    /// The one from which all others descend.
    Base,
    /// A repository's copy of the base, from which its issues fork.
    Repo(RepoRef),
    /// The PM agent's.
    Pm,
    /// A dev agent's, for one issue.
    Dev(IssueRef),
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("base"),
            Self::Repo(repository) => write!(f, "repo {repository}"),
            Self::Pm => f.write_str("pm"),
            Self::Dev(issue) => write!(f, "{issue}"),
        }
    }
}

/// What a session is doing, in the words that people see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionState {
    /// Nobody works in it.
    #[default]
    Idle,
    /// An agent works in it.
    Active,
    /// Its last run took too long and was stopped.
    Timeout,
    /// Its last run did what it was asked.
    Completed,
    /// Its last run did not.
    Failed,
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Active => "active",
            Self::Timeout => "timeout",
            Self::Completed => "completed",
            Self::Failed => "failed",
        })
    }
}

/// A conversation with an agent, as kugetsu remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// kugetsu's own id.
    pub id: SessionId,
    /// Which conversation.
    pub kind: SessionKind,
    /// Which agent it is with.
    pub agent: AgentId,
    /// The agent's id of it. `None` until the agent has told it.
    #[serde(default)]
    pub agent_session: Option<AgentSessionId>,
    /// The agent session that it was forked from.
    #[serde(default)]
    pub forked_from: Option<AgentSessionId>,
    /// How the agent session was made, in the runner's words.
    #[serde(default)]
    pub how: String,
    /// Where the agent works.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// What it is doing.
    #[serde(default)]
    pub state: SessionState,
    /// The pull request that it has led to.
    #[serde(default)]
    pub pr: Option<String>,
    /// When it was first recorded.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// How often it was written. Set by the store; what a caller puts here is not read.
    #[serde(default)]
    pub revision: Revision,
}

impl Session {
    /// A session that nothing is known of yet.
    pub fn new(id: SessionId, kind: SessionKind, agent: AgentId, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            agent,
            agent_session: None,
            forked_from: None,
            how: String::new(),
            directory: None,
            state: SessionState::Idle,
            pr: None,
            created: now,
            updated: now,
            revision: Revision(0),
        }
    }
}

/// Which sessions to find. Nothing set finds all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionQuery {
    /// Only this conversation.
    pub kind: Option<SessionKind>,
}

impl SessionQuery {
    /// All sessions.
    pub fn all() -> Self {
        Self::default()
    }

    /// The session of this conversation.
    pub fn of(kind: SessionKind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// Keeps sessions.
///
/// # Promises
///
/// * There is at most one session of each [`SessionKind`]: of two that put a first one at the same
///   instant, one is told [`SessionError::Conflict`].
/// * A write succeeds only if the stored revision is as expected, and what was put is there after
///   a crash once `put` has returned.
/// * A crash in the middle of a write leaves the session as it was before or as it was to be.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::session_store_conformance!`.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Writes the session if the stored one is as expected, and returns its new revision.
    async fn put(&self, session: &Session, expected: Expected) -> Result<Revision, SessionError>;

    /// The session with this id; `None` if there is none.
    async fn load(&self, id: SessionId) -> Result<Option<Session>, SessionError>;

    /// The sessions that the query means: base, then repositories, PM and issues in their order.
    async fn find(&self, query: &SessionQuery) -> Result<Vec<Session>, SessionError>;

    /// Forgets the session. Forgetting what is not there is done already.
    async fn remove(&self, id: SessionId) -> Result<(), SessionError>;
}

/// Why a session could not be stored or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Somebody else wrote it first. Load it again and decide anew.
    #[error("the session {kind} was changed by somebody else")]
    Conflict {
        /// Which conversation.
        kind: SessionKind,
    },
    /// The store's own fault.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which store.
        who: String,
        /// What it was doing, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl SessionError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } => Retry::Later,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
