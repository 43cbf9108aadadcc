//! Keeping a lease while its attempt is carried out, and hearing that the task is to be cancelled.

use std::time::Duration;

use kugetsu_core::{Attempt, QueueError, TaskId, TaskState};
use tokio_util::sync::CancellationToken;

use super::Line;

/// A worker trusts its lease until this long before it lapses, or a sixth of it if that is shorter:
/// what it started has to be ended by then.
const MARGIN: Duration = Duration::from_secs(10);

/// Why a lease is not kept any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// Another attempt holds the task, or it is over.
    Taken(String),
    /// It could not be renewed in time, so nobody knows who holds it.
    Unsure(String),
}

impl Line {
    /// Renews the lease as long as it can, and passes a wish to cancel on to `stop`. Returns only
    /// when the lease cannot be trusted any more.
    pub(crate) async fn keep_lease(
        &self,
        id: TaskId,
        attempt: Attempt,
        stop: &CancellationToken,
    ) -> LeaseEnd {
        let limits = &self.limits;
        let trust = limits.lease.saturating_sub(MARGIN.min(limits.lease / 6));
        let mut trusted = self.clock.tick().plus(trust);
        let mut renew = self.clock.tick().plus(limits.renew);
        loop {
            self.clock.sleep_until(self.clock.tick().plus(limits.heed)).await;
            let now = self.clock.tick();
            if now.since(trusted).is_none_or(|late| !late.is_zero()) {
                return LeaseEnd::Unsure("the lease could not be renewed in time".into());
            }
            if now.since(renew).is_some_and(|late| !late.is_zero()) {
                renew = now.plus(limits.renew);
                match self.queue.renew(id, attempt, limits.lease).await {
                    Ok(_) => trusted = now.plus(trust),
                    Err(error) if error.lease_is_lost() => {
                        return LeaseEnd::Taken(error.to_string());
                    }
                    // The store may answer next time; until then the old trust holds.
                    Err(_) => {}
                }
            }
            match self.queue.load(id).await {
                Ok(task) => {
                    if matches!(task.state, TaskState::Leased { cancel_requested: true, .. }) {
                        stop.cancel();
                    }
                }
                Err(QueueError::Unknown { .. }) => {
                    return LeaseEnd::Taken("the task was removed".into());
                }
                Err(_) => {}
            }
        }
    }
}
