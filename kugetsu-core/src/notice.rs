//! Notices: the events that a person should hear of.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::AgentEvent;
use crate::error::{Retry, Source};
use crate::event::{Event, Happening};
use crate::ids::{Attempt, Cursor, TaskId};
use crate::issue::IssueRef;
use crate::task::Outcome;
use crate::time::Timestamp;

/// What kind of thing a notice tells. The original's five names, `task_blocked` and `queue_held`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoticeKind {
    /// A task was asked for.
    TaskQueued,
    /// A worker took it.
    TaskDequeued,
    /// An agent began to work on it.
    TaskStarted,
    /// It was done.
    TaskCompleted,
    /// It failed, or was cancelled.
    TaskError,
    /// An agent asked for something that nobody may grant.
    TaskBlocked,
    /// The queue rests, since attempt after attempt failed.
    QueueHeld,
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TaskQueued => "task_queued",
            Self::TaskDequeued => "task_dequeued",
            Self::TaskStarted => "task_started",
            Self::TaskCompleted => "task_completed",
            Self::TaskError => "task_error",
            Self::TaskBlocked => "task_blocked",
            Self::QueueHeld => "queue_held",
        })
    }
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something needs a look.
    Warning,
    /// Something failed.
    Error,
}

/// An event that a person should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Notice {
    /// The same for the same event, however often it is delivered: whoever keeps notices keeps one
    /// of each key.
    pub key: String,
    /// When it happened.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: NoticeKind,
    /// How much it matters.
    pub severity: Severity,
    /// Which task.
    pub task: TaskId,
    /// Which issue, if it is one's.
    #[serde(default)]
    pub issue: Option<IssueRef>,
    /// What happened, in a sentence or two. Plain text: an agent may have written part of it, so
    /// whoever shows it escapes it.
    pub text: String,
}

impl Notice {
    /// What a person should hear of this event, if anything. The one place that decides it.
    pub fn of(event: &Event, cursor: Cursor) -> Option<Self> {
        let (kind, severity, text) = words(event)?;
        Some(Self {
            key: format!("event-{cursor}"),
            at: event.at,
            kind,
            severity,
            task: event.task,
            issue: event.issue.clone(),
            text,
        })
    }
}

fn words(event: &Event) -> Option<(NoticeKind, Severity, String)> {
    let name = match &event.issue {
        Some(issue) => issue.to_string(),
        None => "A request to the PM".to_owned(),
    };
    Some(match &event.what {
        Happening::Enqueued { .. } => {
            (NoticeKind::TaskQueued, Severity::Info, format!("{name} was queued."))
        }
        Happening::Claimed { attempt: Attempt(1), .. } => {
            (NoticeKind::TaskDequeued, Severity::Info, format!("{name} was taken up."))
        }
        Happening::Claimed { attempt, .. } => (
            NoticeKind::TaskDequeued,
            Severity::Info,
            format!("{name} was taken up again, attempt {attempt}."),
        ),
        Happening::SessionReady { .. } => {
            (NoticeKind::TaskStarted, Severity::Info, format!("{name}: an agent started."))
        }
        Happening::Agent(AgentEvent::Asked { text, .. }) => (
            NoticeKind::TaskBlocked,
            Severity::Warning,
            format!("{name}: the agent asks what nobody may answer: {text}"),
        ),
        Happening::Settled { outcome } => match outcome {
            Outcome::Completed { report } => {
                let answer = report.answer.trim();
                let text = if answer.is_empty() {
                    format!("{name} complete.")
                } else {
                    format!("{name} complete. {answer}")
                };
                (NoticeKind::TaskCompleted, Severity::Info, text)
            }
            Outcome::Error { failure } => {
                (NoticeKind::TaskError, Severity::Error, format!("{name} failed: {failure}"))
            }
            Outcome::Cancelled => {
                (NoticeKind::TaskError, Severity::Warning, format!("{name} was cancelled."))
            }
        },
        Happening::QueueHeld { reason, .. } => (
            NoticeKind::QueueHeld,
            Severity::Warning,
            format!("The queue rests for a while: {reason}"),
        ),
        _ => return None,
    })
}

/// Brings notices to people.
///
/// # Promises
///
/// * When `notify` has returned, the notice is with whoever delivers it further or keeps it: a
///   crash afterwards does not lose it.
/// * A notice may come again after a crash. Whoever keeps notices keeps one of each key.
/// * It returns in bounded time; whoever is slow or dead makes it fail, not wait for ever.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::notifier_conformance!`.
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// The sink's name, unique in a configuration: its cursor is kept under it.
    fn name(&self) -> &str;

    /// Brings one notice.
    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError>;
}

/// Why a notice could not be brought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// The sink will never take this notice; the next one may fare better.
    #[error("{who} refused the notice: {why}")]
    Refused {
        /// Which sink.
        who: String,
        /// Why.
        why: String,
    },
    /// The sink's own fault.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which sink.
        who: String,
        /// What it was doing, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl NotifyError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused { .. } => Retry::Never,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
