//! Starting an agent in the foreground: now, or not at all.

use std::time::Duration;

use kugetsu_core::{
    IssueRef, QueueError, Request, Slot, SlotError, SlotHolder, SlotKey, Task, TaskId, TaskQuery,
    TaskState, Tick,
};
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::admission::{AGAIN, Lack};

/// How long to wait for a slot.
///
/// Exhaustive: not at all, for a while, or for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most so long.
    For(Duration),
    /// As long as it takes.
    Forever,
}

/// [`Wait`], reckoned from the start of the first wait.
#[derive(Debug, Clone, Copy)]
enum Patience {
    None,
    Until(Tick),
    Endless,
}

/// Why nothing was started, or why its end is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No slot is free. Nothing was queued.
    #[error("no slot is free: {} of {limit} agents are at work", holders.len())]
    NoSlot {
        /// Who holds them.
        holders: Vec<SlotHolder>,
        /// How many there are.
        limit: u32,
    },
    /// Somebody works on the issue. Nothing was queued.
    #[error("{issue} is in use{}", holder.as_ref().map(|h| format!(": {}", h.holder)).unwrap_or_default())]
    InUse {
        /// Which issue.
        issue: IssueRef,
        /// Who works on it.
        holder: Option<SlotHolder>,
    },
    /// The machine has no room for another agent. Nothing was queued.
    #[error("{lack}")]
    NoRoom {
        /// What it lacks.
        lack: Lack,
    },
    /// The wait for a slot was called off. Nothing was queued.
    #[error("stopped while waiting for a slot")]
    Stopped,
    /// The lease was lost in the middle, so that this process does not decide how the task ends.
    #[error(
        "the lease of task {task} was lost; the agent was stopped, and its session can be continued"
    )]
    LeaseLost {
        /// Which task.
        task: TaskId,
    },
    /// The queue's.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The slot pool's.
    #[error(transparent)]
    Slots(#[from] SlotError),
}

impl Engine {
    /// Runs an agent for the request in the foreground and returns the settled task: one attempt,
    /// since whoever is waiting decides about another. The slots are taken first; if they cannot be
    /// had in time, nothing is queued.
    ///
    /// Cancelling `stop` ends the wait, or stops the agent politely; the session can then be
    /// continued. `queued` is called with the task once it is in the queue.
    pub async fn start(
        &self,
        request: Request,
        wait: Wait,
        stop: CancellationToken,
        queued: impl FnOnce(&Task),
    ) -> Result<Task, StartError> {
        let task = self.line.queue.task(request).with_max_attempts(1);
        let slots = tokio::select! {
            slots = self.take_slots(&task, wait) => slots?,
            () = stop.cancelled() => return Err(StartError::Stopped),
        };
        if let Some(issue) = task.request.issue() {
            self.bury(issue).await?;
        }
        let claimed =
            self.line.queue.enqueue_claimed(&task, &self.worker, self.line.limits.lease).await?;
        queued(&claimed);
        let id = claimed.id;
        // Whoever starts by hand and stops it means the task.
        let never = CancellationToken::new();
        let ended = self.carry_out(claimed, slots, stop, &never).await?;
        ended.ok_or(StartError::LeaseLost { task: id })
    }

    /// The slots of a task, when the machine has room for its agent. Who waits for room keeps none.
    pub(super) async fn take_slots(
        &self,
        task: &Task,
        wait: Wait,
    ) -> Result<Vec<Slot>, StartError> {
        let patience = self.patience(wait);
        loop {
            let (mut slots, place) = self.take_with(task, patience).await?;
            let Err(lack) = self.room(&task.request, &place).await else {
                slots.push(place);
                return Ok(slots);
            };
            drop((slots, place));
            let again = self.line.clock.tick().plus(AGAIN);
            match patience {
                Patience::None => return Err(StartError::NoRoom { lack }),
                Patience::Until(deadline) if ends_before(deadline, again) => {
                    self.line.clock.sleep_until(deadline).await;
                    return Err(StartError::NoRoom { lack });
                }
                _ => self.line.clock.sleep_until(again).await,
            }
        }
    }

    /// The slots of a task, whether there is room or not.
    pub(super) async fn take_places(
        &self,
        task: &Task,
        wait: Wait,
    ) -> Result<Vec<Slot>, StartError> {
        let (mut slots, place) = self.take_with(task, self.patience(wait)).await?;
        slots.push(place);
        Ok(slots)
    }

    fn patience(&self, wait: Wait) -> Patience {
        match wait {
            Wait::No => Patience::None,
            Wait::For(time) => Patience::Until(self.line.clock.tick().plus(time)),
            Wait::Forever => Patience::Endless,
        }
    }

    /// The issue's slot first, so that nobody who waits for an issue keeps an agent's place, and then
    /// that place.
    async fn take_with(
        &self,
        task: &Task,
        patience: Patience,
    ) -> Result<(Vec<Slot>, Slot), StartError> {
        let (issue, class) = match task.request.issue() {
            Some(issue) => (Some(SlotKey::Issue(issue.clone())), SlotKey::Dev),
            None => (None, SlotKey::Pm),
        };
        let (lane, mut slots) = (task.lane(), Vec::new());
        if let Some(issue) = &issue {
            slots.push(self.take(issue, &lane, patience).await?);
        }
        let place = self.take(&class, &lane, patience).await?;
        Ok((slots, place))
    }

    async fn take(
        &self,
        key: &SlotKey,
        holder: &str,
        patience: Patience,
    ) -> Result<Slot, StartError> {
        let slot = match patience {
            Patience::None => self.slots.try_acquire(key, holder).await?,
            Patience::Endless => Some(self.slots.acquire(key, holder).await?),
            Patience::Until(deadline) => tokio::select! {
                biased;
                slot = self.slots.acquire(key, holder) => Some(slot?),
                () = self.line.clock.sleep_until(deadline) => None,
            },
        };
        match slot {
            Some(slot) => Ok(slot),
            None => Err(self.refusal(key).await?),
        }
    }

    async fn refusal(&self, key: &SlotKey) -> Result<StartError, SlotError> {
        let mut holders = self.slots.holders(key).await?;
        Ok(match key {
            SlotKey::Issue(issue) => {
                StartError::InUse { issue: issue.clone(), holder: holders.pop() }
            }
            _ => StartError::NoSlot { holders, limit: self.slots.limit(key) },
        })
    }

    /// Gives up the tasks of the issue whose worker is dead. The caller holds the issue's slot, which
    /// no living worker lets go: nobody else will ever settle them.
    async fn bury(&self, issue: &IssueRef) -> Result<(), StartError> {
        let open = TaskQuery::open().with_issue(issue.clone());
        for task in self.line.queue.store().list(&open).await.map_err(QueueError::from)? {
            if let TaskState::Leased { lease, .. } = &task.state {
                match self.line.queue.lost(task.id, lease.attempt).await {
                    Err(error) if !error.lease_is_lost() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn ends_before(deadline: Tick, tick: Tick) -> bool {
    deadline.since(tick).is_none_or(|left| left.is_zero())
}
