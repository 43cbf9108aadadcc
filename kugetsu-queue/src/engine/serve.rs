//! Carrying out what is queued: taken from the queue as slots come free, on the same line as
//! everything else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{AttemptEnd, QueueError, Role, Slot, SlotError, SlotKey, Task, Tick};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::admission::AGAIN;
use crate::hold::{Hold, HoldKind, Try};

/// How long to wait for work before looking for some that nobody told of, unless set.
pub(super) const INTERVAL: Duration = Duration::from_mins(5);

/// How long to wait for the slots of issues before looking again: meanwhile other work may be due.
const BLOCKED: Duration = Duration::from_millis(100);

/// The shortest wait for work that is said to be due.
const BREATH: Duration = Duration::from_millis(20);

/// The first and the longest pause after a fault.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The ways to end [`Engine::serve`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Shutdown {
    /// Takes no more tasks, and ends when the running ones have ended.
    pub drain: CancellationToken,
    /// Drains, and stops the running agents politely. Their tasks go back to the queue, which costs
    /// no attempt.
    pub cancel: CancellationToken,
}

impl Shutdown {
    /// Neither of them yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What went wrong while serving. It is tried again after a pause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The queue's.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The slot pool's.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The bell cannot be listened to, so that new work of other processes is seen late.
    #[error("could not listen to the bell: {0}")]
    Bell(io::Error),
}

/// Hears of what goes wrong.
type Trouble = Arc<dyn Fn(ServeError) + Send + Sync>;

/// What there is to do next.
enum Next {
    /// This task, which was claimed, with its slots, and the right to run beside no other suspect.
    Work(Box<Task>, Vec<Slot>, Option<OwnedSemaphorePermit>),
    /// Nothing before this time, unless a task is changed.
    Wait(Tick),
    /// All that is due is for issues on which somebody works: nothing before one of them is free.
    Blocked(Vec<SlotKey>),
}

impl Engine {
    /// Carries out what is in the queue, as far as slots are free, until it is shut down. It takes a
    /// slot only when there is work for it, wakes when a task is changed (in any process, if there is
    /// a [bell](Self::with_bell)), and tells `trouble` what it could not do; then it tries again.
    ///
    /// While something [holds](Self::holds) the queue it takes nothing; what runs goes on. It wakes as
    /// soon as the hold is ended or ends by itself. The same is so while the machine has
    /// [no room](Self::with_admission), for which it looks every two seconds.
    ///
    /// Of the tasks whose process died twice in a row it carries out one at a time: the third time it
    /// takes none of the others with it.
    ///
    /// Dropping it stops the agents at once; their tasks count as lost.
    pub async fn serve(
        &self,
        shutdown: Shutdown,
        trouble: impl Fn(ServeError) + Send + Sync + 'static,
    ) {
        let trouble: Trouble = Arc::new(trouble);
        let _listening = match self.store.listen() {
            Ok(listening) => listening,
            Err(error) => {
                trouble(ServeError::Bell(error));
                None
            }
        };
        tokio::join!(
            self.serve_role(Role::Dev, &shutdown, &trouble),
            self.serve_role(Role::Pm, &shutdown, &trouble),
        );
    }

    async fn serve_role(&self, role: Role, shutdown: &Shutdown, trouble: &Trouble) {
        let mut running = JoinSet::new();
        // Heard from before the first look on, so that nothing comes unheard between a look and a
        // wait.
        let mut changes = self.store.changes();
        let mut pause = PAUSE.0;
        while !ends(shutdown) {
            while running.try_join_next().is_some() {}
            changes.mark_unchanged();
            let until = match self.next(role, shutdown).await {
                Ok(Next::Work(task, slots, alone)) => {
                    let work = self.clone().work(*task, slots, shutdown.clone(), trouble.clone());
                    running.spawn(async move {
                        work.await;
                        drop(alone);
                    });
                    continue;
                }
                Ok(Next::Wait(until)) => {
                    pause = PAUSE.0;
                    until
                }
                Ok(Next::Blocked(issues)) => {
                    pause = PAUSE.0;
                    let freed = async {
                        tokio::select! {
                            () = ended(shutdown) => {}
                            _ = changes.changed() => {}
                            () = self.any_free(issues) => {}
                            () = tokio::time::sleep(BLOCKED) => {}
                        }
                    };
                    self.waiting(role, freed).await;
                    continue;
                }
                Err(error) => {
                    trouble(error);
                    let until = self.line.clock.tick().plus(pause);
                    let rest = async {
                        tokio::select! {
                            () = self.line.clock.sleep_until(until) => {}
                            () = ended(shutdown) => {}
                            _ = changes.changed() => {}
                        }
                    };
                    self.waiting(role, rest).await;
                    pause = (pause * 2).min(PAUSE.1);
                    continue;
                }
            };
            let woken = async {
                tokio::select! {
                    () = ended(shutdown) => {}
                    // The engine holds the sender.
                    _ = changes.changed() => {}
                    () = self.line.clock.sleep_until(until) => {}
                }
            };
            self.waiting(role, woken).await;
        }
        while self.waiting(role, running.join_next()).await.is_some() {}
        self.waits_no_more(role);
    }

    /// Only the wait for a slot is given up for a shutdown: what is claimed is returned.
    async fn next(&self, role: Role, shutdown: &Shutdown) -> Result<Next, ServeError> {
        if let Some(until) = self.held().await? {
            return Ok(Next::Wait(until));
        }
        let queue = self.queue();
        let Some(first) = queue.due(role).await?.into_iter().next() else {
            if role == Role::Dev {
                self.waits_no_longer().await;
            }
            return self.nothing_due(role).await;
        };
        let class = if role == Role::Pm { SlotKey::Pm } else { SlotKey::Dev };
        let holder = first.lane();
        let free = async {
            tokio::select! {
                biased;
                () = ended(shutdown) => None,
                place = self.slots.acquire(&class, &holder) => Some(place),
            }
        };
        let Some(place) = self.waiting(role, free).await.transpose()? else {
            return Ok(Next::Wait(self.line.clock.tick()));
        };
        // It may have been a long wait.
        if let Some(until) = self.held().await? {
            return Ok(Next::Wait(until));
        }
        let (mut blocked, mut suspects) = (Vec::new(), 0);
        for task in queue.due(role).await? {
            let mut slots = Vec::new();
            let mut alone = None;
            if is_suspect(&task) {
                let Ok(permit) = Arc::clone(&self.suspects).try_acquire_owned() else {
                    suspects += 1;
                    continue;
                };
                alone = Some(permit);
            }
            if let Some(issue) = task.request.issue() {
                let key = SlotKey::Issue(issue.clone());
                let Some(slot) = self.slots.try_acquire(&key, &task.lane()).await? else {
                    blocked.push(key);
                    continue;
                };
                slots.push(slot);
            }
            slots.push(place.clone());
            if let Err(lack) = self.room(&task.request, &place).await {
                self.waits_for_room(&lack).await;
                return Ok(Next::Wait(self.line.clock.tick().plus(AGAIN)));
            }
            self.waits_no_longer().await;
            let tries = self.may_try(&task).await.map_err(QueueError::from)?;
            if tries == Try::Not {
                return Ok(Next::Wait(self.line.clock.tick().plus(BREATH)));
            }
            let ttl = self.line.limits.lease;
            let claimed = queue.claim_this(&task, &self.worker, ttl).await;
            if tries == Try::Alone && !matches!(claimed, Ok(Some(_))) {
                self.has_not_tried(&task).await;
            }
            if let Some(claimed) = claimed? {
                return Ok(Next::Work(Box::new(claimed), slots, alone));
            }
        }
        if blocked.is_empty() && suspects > 0 {
            return Ok(Next::Wait(self.line.clock.tick().plus(BLOCKED)));
        }
        if blocked.is_empty() {
            // What was due is with somebody else.
            return Ok(Next::Wait(self.line.clock.tick().plus(BREATH)));
        }
        Ok(Next::Blocked(blocked))
    }

    /// Until when nothing is taken, if anything holds the queue.
    async fn held(&self) -> Result<Option<Tick>, ServeError> {
        let mut holds = self.holds().active().await.map_err(QueueError::from)?;
        // Whether there is room is looked at just before a start.
        holds.retain(|hold| hold.kind != HoldKind::Room);
        let now = self.line.clock.moment();
        // One that does not end by itself is ended by somebody, who rings.
        let wait = |hold: &Hold| hold.until.map_or(self.interval, |until| until.wait(now));
        let wait = holds.iter().map(wait).max();
        Ok(wait.map(|wait| now.tick.plus(wait.clamp(BREATH, self.interval))))
    }

    /// Returns when the slot of one of these issues is free, or cannot be waited for.
    async fn any_free(&self, issues: Vec<SlotKey>) {
        let mut waiting = JoinSet::new();
        for key in issues {
            let slots = Arc::clone(&self.slots);
            waiting.spawn(async move { slots.acquire(&key, "the queue").await.map(drop) });
        }
        if !matches!(waiting.join_next().await, Some(Ok(Ok(())))) {
            std::future::pending::<()>().await;
        }
    }

    async fn nothing_due(&self, role: Role) -> Result<Next, ServeError> {
        let now = self.line.clock.moment();
        let store = self.queue().store();
        let due = store.next_due(now, role).await.map_err(QueueError::from)?;
        let wait = due.map_or(self.interval, |due| due.wait(now).clamp(BREATH, self.interval));
        Ok(Next::Wait(now.tick.plus(wait)))
    }

    async fn work(self, task: Task, slots: Vec<Slot>, shutdown: Shutdown, trouble: Trouble) {
        let stop = shutdown.cancel.child_token();
        if let Err(error) = self.carry_out(task, slots, stop, &shutdown.cancel).await {
            trouble(error.into());
        }
        // Its slots are free only now, after its last commit.
        self.store.nudge();
    }
}

/// Whether the task may be what took its process with it, twice in a row. Another one that was there
/// by chance is not to be there a third time, so suspects run one at a time in a process.
fn is_suspect(task: &Task) -> bool {
    let ends = task.attempts.iter().rev().map(|attempt| &attempt.end);
    let ends = ends.filter(|end| !matches!(end, AttemptEnd::Running | AttemptEnd::Released { .. }));
    let lost = ends.take_while(|end| **end == AttemptEnd::Lost).count();
    // Under a lease that has lapsed, it is about to be lost.
    lost + usize::from(task.lease().is_some()) >= 2
}

fn ends(shutdown: &Shutdown) -> bool {
    shutdown.drain.is_cancelled() || shutdown.cancel.is_cancelled()
}

async fn ended(shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.drain.cancelled() => {}
        () = shutdown.cancel.cancelled() => {}
    }
}
