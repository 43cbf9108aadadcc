//! The queue: leases, fencing and retries, written once over any store.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Role, Usage};
use crate::error::{Cause, Failure, Retry};
use crate::event::{Event, Happening};
use crate::ids::{Attempt, Cursor, TaskId, WorkerId};
use crate::store::{Expected, StoreError, TaskQuery, TaskStore};
use crate::task::{
    AttemptEnd, AttemptRecord, Backoff, Change, IllegalChange, Outcome, Request, Status, Task,
    TaskState,
};
use crate::time::{Chance, Clock};

/// How many candidates a claim looks at in one go.
const CLAIM_BATCH: u32 = 16;

/// What came of asking for a task.
///
/// Exhaustive: a task is new or it was there, and whoever asks says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queued {
    /// It is in the queue now.
    New,
    /// It was asked for before, under the same key: this one.
    Already(Box<Task>),
}

/// Tasks in a [`TaskStore`], claimed under leases and retried.
///
/// # Promises
///
/// * A task is carried out by one worker at a time: each attempt has a number, and whoever acts for
///   an older one is refused.
/// * Of the open tasks of one [lane](Task::lane) only the first is claimed.
/// * A worker that dies loses its lease when it lapses; the task is then claimed again. What is lost
///   so costs no attempt, up to [five times](Task::FREE_INTERRUPTIONS).
/// * A task ends as an error when its attempts are used up, when another one could not help, and
///   when [three](Task::EQUAL_FAILURES) in a row failed in the same way. One that may have a single
///   attempt ends with it, however that ends.
/// * Every method is one commit, or several that each leave the task whole: a crash between two of
///   them loses nothing.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    store: Arc<dyn TaskStore>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    backoff: Backoff,
}

impl TaskQueue {
    /// A queue over this store, with this time and this chance.
    pub fn new(store: Arc<dyn TaskStore>, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self { store, clock, chance, backoff: Backoff::default() }
    }

    /// When failed attempts are repeated; 10 s, doubling up to 5 min, unless set.
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn TaskStore> {
        &self.store
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// A new task, not stored yet. Set its priority or attempts, then [`enqueue`](Self::enqueue) it.
    pub fn task(&self, request: Request) -> Task {
        let now = self.clock.moment();
        Task::new(TaskId::new(now.at, &*self.chance), request, now)
    }

    /// A new task, not stored yet, that is asked for under this key.
    pub fn keyed_task(&self, key: &str, request: Request) -> Task {
        let mut task = self.task(request);
        task.id = TaskId::of_key(key);
        task.key = Some(key.to_owned());
        task
    }

    /// Stores a new task, to be claimed by whoever comes first. One whose key was used before for the
    /// same request is not stored again, however it ended, until it is [cleared](Self::clear).
    pub async fn enqueue(&self, task: &Task) -> Result<Queued, QueueError> {
        let told = task.enqueued(self.clock.moment());
        match self.store.commit(task, Expected::Absent, &[told]).await {
            Ok(()) => Ok(Queued::New),
            Err(StoreError::Conflict { .. }) if task.key.is_some() => {
                let stored = self.load(task.id).await?;
                if stored.request == task.request {
                    Ok(Queued::Already(Box::new(stored)))
                } else {
                    Err(QueueError::KeyTaken { task: task.id })
                }
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Stores a new task for which the agent of task `by` asks, which may ask for `most` in all and
    /// for none once it is over. A crash in between costs the agent one of them.
    pub async fn delegate(&self, by: TaskId, most: u32, task: &Task) -> Result<Queued, QueueError> {
        if task.key.is_some() && self.store.load(task.id).await?.is_some() {
            return self.enqueue(task).await;
        }
        self.update(by, |_| Change::Delegate { most }).await?;
        let mut task = task.clone();
        task.asked_by = Some(by);
        self.enqueue(&task).await
    }

    /// Forgets the tasks that were settled at least so long ago, and returns how many they were.
    pub async fn clear(&self, age: Duration) -> Result<usize, QueueError> {
        let now = self.clock.now();
        let mut cleared = 0;
        for task in self.store.list(&TaskQuery::all()).await? {
            let TaskState::Settled { at, .. } = task.state else { continue };
            if now.since(at) < age {
                continue;
            }
            match self.store.remove(task.id, task.revision).await {
                Ok(()) => cleared += 1,
                // Somebody else has cleared it.
                Err(StoreError::Conflict { .. }) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(cleared)
    }

    /// Stores a new task that `worker` carries out itself, from now on, in one commit: nobody else
    /// gets it in between. Refused as [`QueueError::Busy`] if its lane has open tasks before it.
    /// The caller holds the slot of the lane's issue, or the PM's: of two who come at the same
    /// instant without it, both would be let through.
    pub async fn enqueue_claimed(
        &self,
        task: &Task,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Task, QueueError> {
        let ahead = self.lane(task).await?.len();
        if ahead > 0 {
            return Err(QueueError::Busy { lane: task.lane(), ahead });
        }
        let now = self.clock.moment();
        let claim = Change::Claim { worker: worker.clone(), ttl };
        let (mut claimed, told) = task.apply(claim, now).map_err(refused(task.id))?;
        // One commit, so one revision.
        claimed.revision = task.revision;
        let told: Vec<Event> = [Some(task.enqueued(now)), told].into_iter().flatten().collect();
        self.store.commit(&claimed, Expected::Absent, &told).await?;
        Ok(claimed)
    }

    /// The open tasks of the task's lane, but for itself, oldest first.
    pub async fn lane(&self, task: &Task) -> Result<Vec<Task>, QueueError> {
        let query = match task.request.issue() {
            Some(issue) => TaskQuery::open().with_issue(issue.clone()),
            None => TaskQuery::open(),
        };
        let mut open = self.store.list(&query).await?;
        open.retain(|other| other.id != task.id && other.lane() == task.lane());
        Ok(open)
    }

    /// Takes the most urgent task for agents of this role that is due, if there is one. A task whose
    /// attempts are used up by the lapsed lease is settled as an error on the way, and one that was
    /// to be cancelled is settled as that.
    pub async fn claim(
        &self,
        role: Role,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Option<Task>, QueueError> {
        loop {
            let due = self.due(role).await?;
            if due.is_empty() {
                return Ok(None);
            }
            for task in due {
                if let Some(claimed) = self.claim_this(&task, worker, ttl).await? {
                    return Ok(Some(claimed));
                }
            }
        }
    }

    /// The tasks for agents of this role that could be claimed now, the most urgent first; not
    /// all of them if they are many.
    pub async fn due(&self, role: Role) -> Result<Vec<Task>, QueueError> {
        Ok(self.store.due(self.clock.moment(), role, CLAIM_BATCH).await?)
    }

    /// Takes this task, as it was seen. `None` if somebody else was faster, or if it was settled on
    /// the way as [`claim`](Self::claim) says.
    pub async fn claim_this(
        &self,
        task: &Task,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Option<Task>, QueueError> {
        match self.try_claim(task, worker, ttl).await {
            Err(QueueError::Store(StoreError::Conflict { .. })) => Ok(None),
            other => other,
        }
    }

    async fn try_claim(
        &self,
        task: &Task,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Option<Task>, QueueError> {
        if let TaskState::Leased { lease, .. } = &task.state {
            let attempt = lease.attempt;
            if let Some(outcome) = end(task, AttemptEnd::Lost, &lost()) {
                let settle = Change::Settle { attempt, outcome, usage: Usage::default() };
                self.change(task, settle).await?;
                return Ok(None);
            }
        }
        let claim = Change::Claim { worker: worker.clone(), ttl };
        self.change(task, claim).await.map(Some)
    }

    /// Makes the lease last for `ttl` from now. The returned task says whether it is to be
    /// cancelled. After an error other than a passing one of the store the worker stops acting.
    pub async fn renew(
        &self,
        id: TaskId,
        attempt: Attempt,
        ttl: Duration,
    ) -> Result<Task, QueueError> {
        self.update(id, |_| Change::Renew { attempt, ttl }).await
    }

    /// Ends the task with this outcome.
    pub async fn settle(
        &self,
        id: TaskId,
        attempt: Attempt,
        outcome: Outcome,
        usage: Usage,
    ) -> Result<Task, QueueError> {
        self.update(id, |_| Change::Settle { attempt, outcome: outcome.clone(), usage }).await
    }

    /// Tells that the attempt failed: the task is tried again later, or settled as [`TaskQueue`]
    /// says, or because it was to be cancelled.
    pub async fn fail(
        &self,
        id: TaskId,
        attempt: Attempt,
        failure: Failure,
        usage: Usage,
    ) -> Result<Task, QueueError> {
        let chance = self.chance.bytes();
        self.update(id, |task| {
            let failure = failure.clone();
            let failed = AttemptEnd::Failed { failure: failure.clone() };
            if let Some(outcome) = end(task, failed, &failure) {
                return Change::Settle { attempt, outcome, usage };
            }
            let failed = |a: &&AttemptRecord| matches!(a.end, AttemptEnd::Failed { .. });
            let failures = task.attempts.iter().filter(failed).count() + 1;
            let failures = u32::try_from(failures).unwrap_or(u32::MAX);
            let wait = match failure.cause {
                Cause::Limit { .. } => failure.retry.wait().max(self.backoff.base),
                _ => self.backoff.delay(failures, chance).max(failure.retry.wait()),
            };
            Change::Retry { attempt, failure, wait, usage }
        })
        .await
    }

    /// Gives the task back for a reason that is not its own. Costs no attempt.
    pub async fn release(
        &self,
        id: TaskId,
        attempt: Attempt,
        reason: &str,
        usage: Usage,
    ) -> Result<Task, QueueError> {
        self.update(id, |_| Change::Release { attempt, reason: reason.to_owned(), usage }).await
    }

    /// Tells that the worker of a leased task is dead, before its lease has lapsed. Only for whoever
    /// knows it for certain: the holder of the issue's slot, which no living worker lets go.
    pub async fn lost(&self, id: TaskId, attempt: Attempt) -> Result<Task, QueueError> {
        self.update(id, |task| match end(task, AttemptEnd::Lost, &lost()) {
            Some(outcome) => Change::Settle { attempt, outcome, usage: Usage::default() },
            None => Change::Lose { attempt },
        })
        .await
    }

    /// Ends the task: at once if nobody works on it, else as soon as its worker hears of it, which
    /// is at its next look. Cancelling what is being cancelled is done already.
    pub async fn cancel(&self, id: TaskId) -> Result<Task, QueueError> {
        match self.update(id, |_| Change::Cancel).await {
            Err(QueueError::Refused { source: IllegalChange::Cancelling, .. }) => {
                self.load(id).await
            }
            other => other,
        }
    }

    /// Records something about a task that changes no state of it.
    pub async fn tell(&self, task: &Task, what: Vec<Happening>) -> Result<Cursor, QueueError> {
        let at = self.clock.now();
        let issue = task.request.issue();
        let events: Vec<Event> =
            what.into_iter().map(|what| Event::new(at, task.id, issue.cloned(), what)).collect();
        Ok(self.store.append(&events).await?)
    }

    /// The task with this id.
    pub async fn load(&self, id: TaskId) -> Result<Task, QueueError> {
        self.store.load(id).await?.ok_or(QueueError::Unknown { task: id })
    }

    /// Loads, changes and commits, again and again as long as somebody else is faster.
    async fn update(
        &self,
        id: TaskId,
        decide: impl Fn(&Task) -> Change + Send,
    ) -> Result<Task, QueueError> {
        loop {
            let task = self.load(id).await?;
            match self.change(&task, decide(&task)).await {
                Err(QueueError::Store(StoreError::Conflict { .. })) => {}
                other => return other,
            }
        }
    }

    async fn change(&self, task: &Task, change: Change) -> Result<Task, QueueError> {
        let (next, told) = task.apply(change, self.clock.moment()).map_err(refused(task.id))?;
        self.store.commit(&next, Expected::At(task.revision), told.as_slice()).await?;
        Ok(next)
    }
}

/// How the task ends if its newest attempt ends like this; `None` if another one is to be made.
fn end(task: &Task, how: AttemptEnd, failure: &Failure) -> Option<Outcome> {
    if matches!(task.state, TaskState::Leased { cancel_requested: true, .. }) {
        return Some(Outcome::Cancelled);
    }
    let mut after = task.clone();
    if let Some(newest) = after.attempts.last_mut() {
        newest.end = how;
    }
    let mut failure = failure.clone();
    if after.equal_failures() >= Task::EQUAL_FAILURES {
        failure.reason += "; three attempts in a row ended like this, so no more are made";
    } else if failure.retry.is_possible()
        && after.attempts_spent() < task.max_attempts
        && task.max_attempts > 1
    {
        return None;
    }
    Some(Outcome::Error { failure })
}

fn lost() -> Failure {
    Failure::interruption("the attempt was lost: the process that ran it died")
}

fn refused(task: TaskId) -> impl Fn(IllegalChange) -> QueueError {
    move |source| QueueError::Refused { task, source }
}

/// Why the queue could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such task.
    #[error("there is no task {task}")]
    Unknown {
        /// Which task.
        task: TaskId,
    },
    /// The task's state does not allow it, or somebody acted for an attempt that is over.
    #[error("task {task}: {source}")]
    Refused {
        /// Which task.
        task: TaskId,
        /// Why.
        source: IllegalChange,
    },
    /// The key was used for another request.
    #[error("the key was used before, for another request: task {task}")]
    KeyTaken {
        /// Which task has it.
        task: TaskId,
    },
    /// Open tasks come before it.
    #[error("{lane} is busy: {ahead} open tasks come before this one")]
    Busy {
        /// Whose turn it is.
        lane: String,
        /// How many come before.
        ahead: usize,
    },
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueueError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unknown { .. } | Self::Refused { .. } | Self::KeyTaken { .. } => Retry::Never,
            Self::Busy { .. } => Retry::Later,
            Self::Store(store) => store.retry(),
        }
    }

    /// Whether it says that another worker holds the task now, or nobody any more.
    pub fn lease_is_lost(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                source: IllegalChange::Stale { .. }
                    | IllegalChange::Lapsed { .. }
                    | IllegalChange::State { status: Status::Pending, .. }
                    | IllegalChange::State { status: Status::Completed, .. }
                    | IllegalChange::State { status: Status::Error, .. }
                    | IllegalChange::State { status: Status::Cancelled, .. },
                ..
            } | Self::Unknown { .. }
        )
    }
}
