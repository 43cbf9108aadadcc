//! Tasks: requests in the queue, and the one function that changes them.
//!
//! ```text
//!  Pending{due} ─── Claim ──► Leased{lease, cancel_requested} ─── Settle ───► Settled{outcome, at}
//!      ▲  ▲                        │        │ ▲                                  ▲
//!      │  └── Retry (due later) ───┘   Renew└─┘ (a lapsed lease is simply due)   │
//!      └───── Release, Lose (no failure) ──┘      Cancel ───────────────────────┘
//! ```

mod apply;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use apply::{Change, IllegalChange};

use crate::agent::{Role, Usage};
use crate::error::{Cause, Failure};
use crate::ids::{AgentId, Attempt, Priority, Revision, TaskId, WorkerId};
use crate::issue::IssueRef;
use crate::time::{Due, Moment, Timestamp};

/// One request in the queue. It is changed by [`Task::apply`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// How often it was changed, from 1.
    pub revision: Revision,
    /// What is wanted.
    pub request: Request,
    /// The higher, the sooner.
    #[serde(default)]
    pub priority: Priority,
    /// How many attempts may fail before it ends as an error.
    pub max_attempts: u32,
    /// The key under which it was asked for: asking again under it is asking once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The task whose agent asked for it; `None` if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<TaskId>,
    /// How many tasks its own agents have asked for.
    #[serde(default, skip_serializing_if = "none")]
    pub delegated: u32,
    /// When it was asked for.
    pub created: Timestamp,
    /// Where it stands.
    pub state: TaskState,
    /// Every attempt so far, the newest last.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
}

// serde asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn none(count: &u32) -> bool {
    *count == 0
}

/// What is wanted of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// A dev agent is to work on an issue.
    #[non_exhaustive]
    Dev {
        /// Which issue.
        issue: IssueRef,
        /// What it is told.
        message: String,
        /// Which agent; without, the one that has the issue's session, or else the default one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// The PM is told something.
    #[non_exhaustive]
    Pm {
        /// What it is told.
        message: String,
    },
}

impl Request {
    /// A dev agent is to work on `issue`.
    pub fn dev(issue: IssueRef, message: impl Into<String>) -> Self {
        Self::Dev { issue, message: message.into(), agent: None }
    }

    /// This agent is to work on the issue, and no other; `None` leaves it to whoever carries it out.
    /// The PM is always the PM's agent, so that this changes nothing for it.
    pub fn with_agent(mut self, wanted: Option<AgentId>) -> Self {
        if let Self::Dev { agent, .. } = &mut self {
            *agent = wanted;
        }
        self
    }

    /// The agent that is asked for by name.
    pub fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Dev { agent, .. } => agent.as_ref(),
            Self::Pm { .. } => None,
        }
    }

    /// The PM is told `message`.
    pub fn pm(message: impl Into<String>) -> Self {
        Self::Pm { message: message.into() }
    }

    /// The issue that is worked on, if it is one.
    pub fn issue(&self) -> Option<&IssueRef> {
        match self {
            Self::Dev { issue, .. } => Some(issue),
            Self::Pm { .. } => None,
        }
    }

    /// What the agent is for that it is given to.
    pub fn role(&self) -> Role {
        match self {
            Self::Dev { .. } => Role::Dev,
            Self::Pm { .. } => Role::Pm,
        }
    }

    /// What the agent is told.
    pub fn message(&self) -> &str {
        match self {
            Self::Dev { message, .. } | Self::Pm { message } => message,
        }
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for a worker.
    Pending {
        /// From when on it may be claimed.
        due: Due,
    },
    /// A worker has it.
    Leased {
        /// The worker's right.
        lease: Lease,
        /// Somebody wants it to end.
        cancel_requested: bool,
    },
    /// It is over, for ever.
    Settled {
        /// How it ended.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
}

/// The right of one worker to carry out one attempt, until it expires.
///
/// Made by [`Task::apply`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Lease {
    /// The attempt, which is the fencing token.
    pub attempt: Attempt,
    /// Whose right it is.
    pub worker: WorkerId,
    /// When it lapses, unless it is renewed before. A reboot ends it at once.
    pub expires: Due,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The agent did what it was asked, by its own account and by the evidence.
    Completed {
        /// What came of it.
        report: Report,
    },
    /// No attempt succeeded.
    Error {
        /// Why the last one did not.
        failure: Failure,
    },
    /// Somebody ended it.
    Cancelled,
}

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Report {
    /// The last thing that the agent said.
    pub answer: String,
    /// The branch that it worked on; empty where there is none.
    pub branch: String,
    /// The commit that was checked out at the end.
    pub head: Option<String>,
    /// Commits on the branch that are not on its base.
    pub commits: u32,
    /// Files changed and not committed.
    pub uncommitted: u32,
}

/// One try at a task, kept for ever.
///
/// Made by [`Task::apply`] alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// Its number.
    pub number: Attempt,
    /// Who tried.
    pub worker: WorkerId,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` while it goes on.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// How it ended.
    pub end: AttemptEnd,
    /// What it used up.
    #[serde(default)]
    pub usage: Usage,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptEnd {
    /// It goes on, as far as is known.
    Running,
    /// It did what was asked.
    Succeeded,
    /// It did not. Costs an attempt if that was its own [fault](Cause).
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Its worker gave it back. An interruption.
    Released {
        /// Why.
        reason: String,
    },
    /// Its worker died, or could not renew its lease. An interruption.
    Lost,
    /// Somebody ended it.
    Cancelled,
}

impl AttemptEnd {
    fn is_spent(&self) -> bool {
        matches!(self, Self::Failed { failure } if failure.cause == Cause::Attempt)
    }

    fn is_interruption(&self) -> bool {
        match self {
            Self::Failed { failure } => failure.cause == Cause::Interruption,
            Self::Released { .. } | Self::Lost => true,
            _ => false,
        }
    }

    fn is_failure(&self) -> bool {
        match self {
            Self::Failed { failure } => failure.cause == Cause::Attempt,
            Self::Lost => true,
            _ => false,
        }
    }

    fn fails_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed { failure: one }, Self::Failed { failure: two }) => {
                one.reason == two.reason
            }
            (Self::Lost, Self::Lost) => true,
            _ => false,
        }
    }
}

/// What people see of a task's state: the original's words, and `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It waits.
    Pending,
    /// It was handed to an agent.
    Notified,
    /// It was done.
    Completed,
    /// It failed.
    Error,
    /// Somebody ended it.
    Cancelled,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Notified => "notified",
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        })
    }
}

impl Task {
    /// The default number of attempts that may fail.
    pub const MAX_ATTEMPTS: u32 = 3;

    /// How many interruptions cost no attempt. Each one beyond does.
    pub const FREE_INTERRUPTIONS: u32 = 5;

    /// How many attempts in a row may fail in the same way: then another one would, too.
    pub const EQUAL_FAILURES: u32 = 3;

    /// A new task that may be claimed at once. Its revision is 1; commit it with
    /// [`Expected::Absent`](crate::Expected::Absent) and [`Task::enqueued`]'s event.
    pub fn new(id: TaskId, request: Request, now: Moment) -> Self {
        Self {
            id,
            revision: Revision(1),
            request,
            priority: Priority::default(),
            max_attempts: Self::MAX_ATTEMPTS,
            key: None,
            asked_by: None,
            delegated: 0,
            created: now.at,
            state: TaskState::Pending { due: Due::at_once(now) },
            attempts: Vec::new(),
        }
    }

    /// The higher, the sooner.
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How many attempts may fail before it ends as an error; at least 1.
    pub fn with_max_attempts(mut self, max_attempts: u32) -> Self {
        self.max_attempts = max_attempts.max(1);
        self
    }

    /// Not to be claimed before this time.
    pub fn with_due(mut self, due: Due) -> Self {
        self.state = TaskState::Pending { due };
        self
    }

    /// What people see of its state.
    pub fn status(&self) -> Status {
        match &self.state {
            TaskState::Pending { .. } => Status::Pending,
            TaskState::Leased { .. } => Status::Notified,
            TaskState::Settled { outcome, .. } => match outcome {
                Outcome::Completed { .. } => Status::Completed,
                Outcome::Error { .. } => Status::Error,
                Outcome::Cancelled => Status::Cancelled,
            },
        }
    }

    /// Whether it is over.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, TaskState::Settled { .. })
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            TaskState::Settled { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// The lease, if a worker has one, lapsed or not.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            TaskState::Leased { lease, .. } => Some(lease),
            _ => None,
        }
    }

    /// From when on it may be claimed: a pending one when it is due, a leased one when its lease
    /// lapses, a settled one never. What a store needs to know in order to answer
    /// [`due`](crate::TaskStore::due).
    pub fn due(&self) -> Option<Due> {
        match &self.state {
            TaskState::Pending { due } => Some(*due),
            TaskState::Leased { lease, .. } => Some(lease.expires),
            TaskState::Settled { .. } => None,
        }
    }

    /// The queue within the queue: of the open tasks in one lane only the first may run, so that
    /// one issue's messages come one after the other, in order.
    pub fn lane(&self) -> String {
        match &self.request {
            Request::Dev { issue, .. } => issue.to_string(),
            Request::Pm { .. } => "pm".to_owned(),
        }
    }

    /// How many attempts have been used up: those that failed by their own fault, and the
    /// interruptions beyond the [free ones](Self::FREE_INTERRUPTIONS).
    pub fn attempts_spent(&self) -> u32 {
        let count = |which: fn(&AttemptEnd) -> bool| {
            let count = self.attempts.iter().filter(|attempt| which(&attempt.end)).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let interruptions = count(AttemptEnd::is_interruption);
        count(AttemptEnd::is_spent) + interruptions.saturating_sub(Self::FREE_INTERRUPTIONS)
    }

    /// How many attempts in a row, up to the newest that has ended, failed in the same way by their
    /// own fault, or took their process with them. Those that were given back say nothing.
    pub fn equal_failures(&self) -> u32 {
        let mut ends = self
            .attempts
            .iter()
            .rev()
            .map(|attempt| &attempt.end)
            .filter(|end| !matches!(end, AttemptEnd::Running | AttemptEnd::Released { .. }));
        let Some(last) = ends.next().filter(|end| end.is_failure()) else { return 0 };
        let equal = ends.take_while(|end| end.fails_like(last)).count();
        u32::try_from(equal).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The number of the newest attempt; `Attempt(0)` before the first.
    pub fn last_attempt(&self) -> Attempt {
        self.attempts.last().map_or(Attempt(0), |a| a.number)
    }

    /// What all attempts have used up together.
    pub fn usage(&self) -> Usage {
        self.attempts.iter().fold(Usage::default(), |sum, a| sum.plus(a.usage))
    }
}

/// When to try again, after how many failed attempts: exponential with equal jitter, that is half of
/// the delay for certain and up to the other half by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The delay after the first failure.
    pub base: Duration,
    /// The longest delay.
    pub cap: Duration,
}

impl Default for Backoff {
    /// 10 s, doubling up to 5 min.
    fn default() -> Self {
        Self { base: Duration::from_secs(10), cap: Duration::from_mins(5) }
    }
}

impl Backoff {
    /// From `base`, doubling up to `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The delay after `failures` failed attempts, from 1 on. `chance` decides about the second
    /// half of it.
    pub fn delay(&self, failures: u32, chance: [u8; 16]) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let half = self.base.saturating_mul(doubled).min(self.cap) / 2;
        let random = u32::from_le_bytes([chance[0], chance[1], chance[2], chance[3]]);
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}
