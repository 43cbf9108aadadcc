//! The only place that changes a task.

use std::time::Duration;

use super::{AttemptEnd, AttemptRecord, Lease, Outcome, Status, Task, TaskState};
use crate::agent::Usage;
use crate::error::Failure;
use crate::event::{Event, Happening};
use crate::ids::{Attempt, WorkerId};
use crate::time::{Due, Moment};

/// What may be done to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A worker takes it for an attempt: a pending one that is due, or one whose lease has lapsed.
    Claim {
        /// Who takes it.
        worker: WorkerId,
        /// How long the lease lasts unless it is renewed.
        ttl: Duration,
    },
    /// The attempt's worker is alive and goes on.
    Renew {
        /// The attempt that it holds.
        attempt: Attempt,
        /// How long the lease lasts from now on.
        ttl: Duration,
    },
    /// The attempt failed, and another one is to be made.
    Retry {
        /// The attempt that failed.
        attempt: Attempt,
        /// Why.
        failure: Failure,
        /// How long to wait before the next.
        wait: Duration,
        /// What it used up.
        usage: Usage,
    },
    /// The worker gives it back for a reason that is not the task's: it drains, it is shut down.
    Release {
        /// The attempt that is given up.
        attempt: Attempt,
        /// Why.
        reason: String,
        /// What it used up.
        usage: Usage,
    },
    /// The attempt's worker is dead, and another attempt is to be made.
    Lose {
        /// The attempt that was lost.
        attempt: Attempt,
    },
    /// The attempt's agent asks for a task of its own.
    Delegate {
        /// How many it may ask for.
        most: u32,
    },
    /// The attempt ended the task.
    Settle {
        /// The attempt that ended.
        attempt: Attempt,
        /// How the task ended.
        outcome: Outcome,
        /// What the attempt used up.
        usage: Usage,
    },
    /// Somebody wants it to end: at once if nobody works on it, else as soon as the worker hears it.
    Cancel,
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Renew { .. } => "renew",
            Self::Retry { .. } => "retry",
            Self::Release { .. } => "release",
            Self::Lose { .. } => "lose",
            Self::Delegate { .. } => "delegate",
            Self::Settle { .. } => "settle",
            Self::Cancel => "cancel",
        }
    }
}

/// Why a task refused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IllegalChange {
    /// The task's state does not allow it.
    #[error("a task that is {status} cannot be changed by `{change}`")]
    State {
        /// The state that refused.
        status: Status,
        /// What was wanted.
        change: &'static str,
    },
    /// It may not be claimed yet.
    #[error("the task is not due before another {} ms", wait.as_millis())]
    NotDue {
        /// How long until then.
        wait: Duration,
    },
    /// Somebody acts for an attempt that is not the one under lease.
    #[error("attempt {stale} is over; attempt {current} holds the lease")]
    Stale {
        /// The attempt that was acted for.
        stale: Attempt,
        /// The attempt that holds the lease.
        current: Attempt,
    },
    /// It is to be cancelled already, and its worker has yet to hear of it.
    #[error("the task is being cancelled already")]
    Cancelling,
    /// Its agents have asked for as many tasks as they may.
    #[error("its agent has asked for {most} tasks already, and may not ask for more")]
    Allowance {
        /// How many they may ask for.
        most: u32,
    },
    /// The lease has lapsed, and a lapsed lease is renewed by nobody.
    #[error("the lease of attempt {attempt} has lapsed")]
    Lapsed {
        /// Whose lease.
        attempt: Attempt,
    },
}

impl Task {
    /// The event of a new task, to be committed with it.
    pub fn enqueued(&self, now: Moment) -> Event {
        self.event(now, Happening::Enqueued { priority: self.priority })
    }

    /// The task after the change and what there is to tell of it. Nothing is changed if the change
    /// is illegal. Renewing and delegating tell nothing.
    ///
    /// * A settled task stays as it is for ever.
    /// * Revisions grow by one, attempts are numbered from 1 and only grow.
    /// * `Delegate` is refused unless a worker holds the task: an agent that is over asks for nothing.
    /// * `Renew`, `Retry`, `Release`, `Lose` and `Settle` are refused unless they name the attempt that
    ///   holds the lease. A lapsed lease can still be settled or given back as long as nobody else
    ///   has claimed the task: what was done is not thrown away.
    pub fn apply(
        &self,
        change: Change,
        now: Moment,
    ) -> Result<(Task, Option<Event>), IllegalChange> {
        let verb = change.verb();
        let mut next = self.clone();
        next.revision = self.revision.next();
        let told = match change {
            Change::Claim { worker, ttl } => next.claim(worker, ttl, now)?,
            Change::Renew { attempt, ttl } => {
                next.renew(attempt, ttl, now, verb)?;
                return Ok((next, None));
            }
            Change::Retry { attempt, failure, wait, usage } => {
                next.holds(attempt, verb)?;
                next.close(AttemptEnd::Failed { failure: failure.clone() }, usage, now);
                next.state = TaskState::Pending { due: Due::after(now, wait) };
                Happening::RetryScheduled { attempt, due: now.at.plus(wait), failure }
            }
            Change::Release { attempt, reason, usage } => {
                let cancelled = next.holds(attempt, verb)?;
                next.close(AttemptEnd::Released { reason: reason.clone() }, usage, now);
                if cancelled {
                    next.settle(Outcome::Cancelled, now)
                } else {
                    next.state = TaskState::Pending { due: Due::at_once(now) };
                    Happening::Released { attempt, reason }
                }
            }
            Change::Lose { attempt } => {
                let cancelled = next.holds(attempt, verb)?;
                next.close(AttemptEnd::Lost, Usage::default(), now);
                if cancelled {
                    next.settle(Outcome::Cancelled, now)
                } else {
                    next.state = TaskState::Pending { due: Due::at_once(now) };
                    let failure =
                        Failure::interruption("the attempt was lost: the process that ran it died");
                    Happening::RetryScheduled { attempt, due: now.at, failure }
                }
            }
            Change::Delegate { most } => {
                if next.lease().is_none() {
                    return Err(self.refuses(verb));
                }
                if next.delegated >= most {
                    return Err(IllegalChange::Allowance { most });
                }
                next.delegated += 1;
                return Ok((next, None));
            }
            Change::Settle { attempt, outcome, usage } => {
                next.holds(attempt, verb)?;
                let end = match &outcome {
                    Outcome::Completed { .. } => AttemptEnd::Succeeded,
                    Outcome::Error { failure } => AttemptEnd::Failed { failure: failure.clone() },
                    Outcome::Cancelled => AttemptEnd::Cancelled,
                };
                next.close(end, usage, now);
                next.settle(outcome, now)
            }
            Change::Cancel => match &mut next.state {
                TaskState::Pending { .. } => next.settle(Outcome::Cancelled, now),
                TaskState::Leased { cancel_requested: true, .. } => {
                    return Err(IllegalChange::Cancelling);
                }
                TaskState::Leased { cancel_requested, .. } => {
                    *cancel_requested = true;
                    Happening::CancelRequested
                }
                TaskState::Settled { .. } => return Err(self.refuses(verb)),
            },
        };
        let event = next.event(now, told);
        Ok((next, Some(event)))
    }

    fn claim(
        &mut self,
        worker: WorkerId,
        ttl: Duration,
        now: Moment,
    ) -> Result<Happening, IllegalChange> {
        let Some(due) = self.due() else { return Err(self.refuses("claim")) };
        if !due.reached(now) {
            return Err(IllegalChange::NotDue { wait: due.wait(now) });
        }
        let cancel_requested = match self.state {
            TaskState::Leased { cancel_requested, .. } => {
                self.close(AttemptEnd::Lost, Usage::default(), now);
                cancel_requested
            }
            _ => false,
        };
        let attempt = self.last_attempt().next();
        self.attempts.push(AttemptRecord {
            number: attempt,
            worker: worker.clone(),
            started: now.at,
            ended: None,
            end: AttemptEnd::Running,
            usage: Usage::default(),
        });
        let expires = Due::after_or_reboot(now, ttl);
        let lease = Lease { attempt, worker: worker.clone(), expires };
        self.state = TaskState::Leased { lease, cancel_requested };
        Ok(Happening::Claimed { worker, attempt })
    }

    fn renew(
        &mut self,
        attempt: Attempt,
        ttl: Duration,
        now: Moment,
        verb: &'static str,
    ) -> Result<(), IllegalChange> {
        self.holds(attempt, verb)?;
        if let TaskState::Leased { lease, .. } = &mut self.state {
            if lease.expires.reached(now) {
                return Err(IllegalChange::Lapsed { attempt });
            }
            lease.expires = Due::after_or_reboot(now, ttl);
        }
        Ok(())
    }

    /// Refuses whoever does not hold the lease; tells whether the task is to be cancelled.
    fn holds(&self, attempt: Attempt, verb: &'static str) -> Result<bool, IllegalChange> {
        let TaskState::Leased { lease, cancel_requested } = &self.state else {
            return Err(self.refuses(verb));
        };
        if lease.attempt != attempt {
            return Err(IllegalChange::Stale { stale: attempt, current: lease.attempt });
        }
        Ok(*cancel_requested)
    }

    fn close(&mut self, end: AttemptEnd, usage: Usage, now: Moment) {
        if let Some(record) = self.attempts.last_mut() {
            record.ended = Some(now.at);
            record.end = end;
            record.usage = usage;
        }
    }

    fn settle(&mut self, outcome: Outcome, now: Moment) -> Happening {
        self.state = TaskState::Settled { outcome: outcome.clone(), at: now.at };
        Happening::Settled { outcome }
    }

    fn refuses(&self, change: &'static str) -> IllegalChange {
        IllegalChange::State { status: self.status(), change }
    }

    fn event(&self, now: Moment, what: Happening) -> Event {
        Event::new(now.at, self.id, self.request.issue().cloned(), what)
    }
}
