//! What a foreground start needs beside a server of the queue: it leaves its task to the server,
//! follows it, and takes over if the server is gone.

use kugetsu_core::{
    Change, Expected, Outcome, QueueError, SlotKey, StoreError, Task, TaskId, TaskState,
};
use tokio_util::sync::CancellationToken;

use super::{Engine, StartError, Wait};

impl Engine {
    /// Whether nobody works on the task's issue and a place for its agent is free. Nothing is kept of
    /// them, so that it may be otherwise a moment later.
    pub async fn has_place(&self, task: &Task) -> Result<(), StartError> {
        self.take_places(task, Wait::No).await.map(drop)
    }

    /// Carries out a task that waits in the queue, in the foreground: one attempt, now or not at all.
    /// `None` if somebody else has it, or nobody may have it any more. Cancelling `stop` ends the task
    /// as [`start`](Self::start) says.
    pub async fn start_queued(
        &self,
        id: TaskId,
        stop: CancellationToken,
    ) -> Result<Option<Task>, StartError> {
        let task = self.queue().load(id).await?;
        if task.is_settled() {
            return Ok(None);
        }
        let slots = self.take_slots(&task, Wait::No).await?;
        let claimed =
            match self.queue().claim_this(&task, &self.worker, self.line.limits.lease).await {
                Ok(claimed) => claimed,
                // It changed meanwhile, or its time has not come.
                Err(QueueError::Refused { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        let Some(claimed) = claimed else { return Ok(None) };
        let never = CancellationToken::new();
        let ended = self.carry_out(claimed, slots, stop, &never).await?;
        ended.map(Some).ok_or(StartError::LeaseLost { task: id })
    }

    /// Ends a task of the queue unless a worker has it. Says whether that is done.
    pub async fn withdraw(&self, id: TaskId) -> Result<bool, StartError> {
        let store = self.queue().store();
        loop {
            let task = self.queue().load(id).await?;
            if !matches!(task.state, TaskState::Pending { .. }) {
                return Ok(matches!(task.outcome(), Some(Outcome::Cancelled)));
            }
            let (next, told) = task
                .apply(Change::Cancel, self.line.clock.moment())
                .map_err(|source| QueueError::Refused { task: id, source })?;
            match store.commit(&next, Expected::At(task.revision), told.as_slice()).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Conflict { .. }) => {}
                Err(other) => return Err(QueueError::from(other).into()),
            }
        }
    }

    /// Gives up the attempt that is being made at the task if its worker is dead: nobody holds the
    /// issue's slot, or the PM's, which no living worker lets go. Says whether it was.
    pub async fn give_up(&self, task: &Task) -> Result<bool, StartError> {
        let Some(lease) = task.lease() else { return Ok(false) };
        let key = match task.request.issue() {
            Some(issue) => SlotKey::Issue(issue.clone()),
            None => SlotKey::Pm,
        };
        let Some(_slot) = self.only_slot(&key).await? else { return Ok(false) };
        match self.queue().lost(task.id, lease.attempt).await {
            Ok(_) => Ok(true),
            // It came to its end by itself.
            Err(error) if error.lease_is_lost() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
