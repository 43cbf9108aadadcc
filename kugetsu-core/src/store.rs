//! The durable store of tasks and of what happened to them.

use std::fmt;

use async_trait::async_trait;

use crate::agent::Role;
use crate::error::{Retry, Source};
use crate::event::Event;
use crate::ids::{Cursor, Revision, TaskId};
use crate::issue::IssueRef;
use crate::task::{Status, Task};
use crate::time::{Due, Moment};

/// What a write expects to find.
///
/// Exhaustive: a store that did not know a third precondition would write without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing: the record is new.
    Absent,
    /// The record in this revision.
    At(Revision),
}

/// What happened, told once, in order.
///
/// # Promises
///
/// * Events come back in the order in which they were appended, each with a cursor that is larger
///   than the one before. A cursor stays valid for ever, over reopening and crashes.
/// * Once an event can be read, no event with a smaller cursor appears any more: a reader that goes
///   on from the last cursor it saw misses nothing.
/// * An event of a kind that this version does not know is kept and comes back as it was.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::task_store_conformance!`.
#[async_trait]
pub trait EventLog: fmt::Debug + Send + Sync + 'static {
    /// Appends all of the events or none, and returns the cursor of the last. Without events it is
    /// the cursor of the log's end.
    async fn append(&self, events: &[Event]) -> Result<Cursor, StoreError>;

    /// Up to `limit` events after `after`, in order. None means that there is nothing new.
    async fn read(&self, after: Cursor, limit: u32) -> Result<Vec<(Cursor, Event)>, StoreError>;
}

/// Keeps tasks. It decides nothing: what may happen to a task is [`Task::apply`]'s to say.
///
/// # Promises
///
/// * [`commit`](TaskStore::commit) writes the task and its events together, or neither, and only if
///   the stored task is as expected; of two that expect the same revision exactly one succeeds.
/// * What was committed is there after a crash once `commit` has returned.
/// * Tasks keep the order in which they were first committed.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::task_store_conformance!`.
#[async_trait]
pub trait TaskStore: EventLog {
    /// Writes the task, whose revision is the expected one's successor (the first is 1), and
    /// appends the events.
    async fn commit(
        &self,
        task: &Task,
        expected: Expected,
        events: &[Event],
    ) -> Result<(), StoreError>;

    /// The task with this id; `None` if there is none.
    async fn load(&self, id: TaskId) -> Result<Option<Task>, StoreError>;

    /// Up to `limit` tasks for agents of this role that could be claimed now: those whose
    /// [`Task::due`] is reached and that are the first open ones of their [`lane`](Task::lane).
    /// Highest priority first, then oldest.
    async fn due(&self, now: Moment, role: Role, limit: u32) -> Result<Vec<Task>, StoreError>;

    /// The first time at which [`due`](TaskStore::due) may have an answer for this role, seen from
    /// `now`; `None` if it has none until a task is committed. Whoever waits for work sleeps until
    /// then.
    async fn next_due(&self, now: Moment, role: Role) -> Result<Option<Due>, StoreError>;

    /// The tasks that the query means, oldest first.
    async fn list(&self, query: &TaskQuery) -> Result<Vec<Task>, StoreError>;

    /// Forgets the task if it is stored in this revision; else, and if it is not there, that is a
    /// [`Conflict`](StoreError::Conflict). What was told of it stays in the log.
    async fn remove(&self, id: TaskId, expected: Revision) -> Result<(), StoreError>;
}

/// Which tasks to list. Nothing set lists all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskQuery {
    /// Only those of this issue.
    pub issue: Option<IssueRef>,
    /// Only those that people see in this status.
    pub status: Option<Status>,
    /// Only those that are not settled.
    pub open: bool,
    /// At most so many, counted from the oldest.
    pub limit: Option<u32>,
}

impl TaskQuery {
    /// All tasks.
    pub fn all() -> Self {
        Self::default()
    }

    /// All tasks that are not settled.
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Only those of this issue.
    pub fn with_issue(mut self, issue: IssueRef) -> Self {
        self.issue = Some(issue);
        self
    }

    /// Only those in this status.
    pub fn with_status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// At most so many.
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Whether the query means this task, its limit aside.
    pub fn matches(&self, task: &Task) -> bool {
        self.issue.as_ref().is_none_or(|issue| task.request.issue() == Some(issue))
            && self.status.is_none_or(|status| task.status() == status)
            && !(self.open && task.is_settled())
    }
}

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else wrote the task first. Load it again and decide anew.
    #[error("the task {task} was changed by somebody else")]
    Conflict {
        /// Which task.
        task: TaskId,
    },
    /// The store was written by a newer kugetsu, which this one must not touch.
    #[error(
        "{store} has format {found}, and this kugetsu knows formats up to {known}; use a newer one"
    )]
    NewerFormat {
        /// Which store.
        store: String,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// What is stored cannot be read.
    #[error("{store} is damaged: {detail}")]
    Damaged {
        /// Which store.
        store: String,
        /// What is wrong with it.
        detail: String,
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

impl StoreError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Conflict { .. } => Retry::Later,
            Self::NewerFormat { .. } | Self::Damaged { .. } => Retry::Never,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
