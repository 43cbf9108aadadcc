//! Waiting for room on the machine, and letting one attempt try after many have failed.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use kugetsu_core::{AgentRunner, Request, Slot, SlotKey, StoreError, Task};

use super::Engine;
use crate::admission::{Admission, BEGINNING, Lack};
use crate::hold::{Ended, Try};

/// How often it is told that one still waits.
const TELL: Duration = Duration::from_mins(1);

impl Engine {
    /// Whether the machine has room for the agent of this request, whose slot is held. It is looked at
    /// last, when nothing else stands between the agent and its start.
    pub(super) async fn room(&self, request: &Request, slot: &Slot) -> Result<(), Lack> {
        let Some(admission) = &self.admission else { return Ok(()) };
        let is_warm = self.agent_of(request).await.is_warm();
        let beside = self.beginning_elsewhere(slot).await;
        let (admission, now) = (Admission::clone(admission), self.line.clock.tick());
        // A disk may take its time to answer.
        let looked =
            tokio::task::spawn_blocking(move || admission.admit(is_warm, beside, now)).await;
        // Who cannot look does not stand in the way.
        looked.unwrap_or(Ok(()))
    }

    /// Tells everybody that an agent waits for this, now and then as long as it does.
    pub(super) async fn waits_for_room(&self, lack: &Lack) {
        let now = self.line.clock.tick();
        {
            let mut told = self.told_room.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, what)) = told.as_ref()
                && what.is_like(lack)
                && now.since(*since).is_some_and(|age| age < TELL)
            {
                return;
            }
            *told = Some((now, lack.clone()));
        }
        // On a full disk it may not be possible to tell it.
        let _ = self.holds().tell_room(&lack.to_string()).await;
    }

    /// Tells that nobody waits any more, if somebody did.
    pub(super) async fn waits_no_longer(&self) {
        let told = self.told_room.lock().unwrap_or_else(PoisonError::into_inner).take();
        if told.is_some() {
            let _ = self.holds().forget_room().await;
        }
    }

    /// Whether this task may begin while the queue rests after failures, or may rest.
    pub(super) async fn may_try(&self, task: &Task) -> Result<Try, StoreError> {
        if self.circuit.is_none() {
            return Ok(Try::Free);
        }
        let _one = self.trying.lock().await;
        self.holds().try_circuit(task.id).await
    }

    /// What was to try has not begun.
    pub(super) async fn has_not_tried(&self, task: &Task) {
        self.tell_circuit(task.id, None, None, Ended::Otherwise).await;
    }

    /// The agent that will work, as far as it can be told beforehand.
    async fn agent_of(&self, request: &Request) -> Arc<dyn AgentRunner> {
        match request {
            Request::Pm { .. } => Arc::clone(&self.line.pm_agent),
            Request::Dev { issue, agent, .. } => {
                let agent = self.line.dev_agent(issue, agent.as_ref()).await;
                agent.unwrap_or_else(|_| Arc::clone(&self.line.agents.default))
            }
            _ => Arc::clone(&self.line.agents.default),
        }
    }

    /// How many agents of other processes got their slot just before this one, so that the memory that
    /// they need may still look available.
    async fn beginning_elsewhere(&self, slot: &Slot) -> u64 {
        let mut holders = Vec::new();
        for key in [SlotKey::Dev, SlotKey::Pm] {
            holders.extend(self.slots.holders(&key).await.unwrap_or_default());
        }
        let is_ours = |key: &SlotKey, index: u32| key == slot.key() && index == slot.index();
        let ours = holders.iter().find(|holder| is_ours(&holder.key, holder.index));
        // Where slots tell no time, or no process, all of them are this process's.
        let Some((since, pid)) = ours.and_then(|ours| Some((ours.since?, ours.pid?))) else {
            return 0;
        };
        let beginning = holders.iter().filter(|other| {
            let earlier = other.since.filter(|other| *other <= since);
            other.pid.is_some_and(|other| other != pid)
                && earlier.is_some_and(|earlier| since.since(earlier) < BEGINNING)
                && (other.since, &other.key, other.index) < (Some(since), slot.key(), slot.index())
        });
        u64::try_from(beginning.count()).unwrap_or(u64::MAX)
    }
}
