//! Clearing up after processes that died at work.

use std::fmt;

use kugetsu_core::{
    Attempt, Expected, QueueError, SessionError, SessionKind, SessionQuery, SessionState, Slot,
    SlotError, SlotKey, TaskId, TaskQuery,
};

use super::Engine;

/// What was left by a process that died, and was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// The worker of this attempt is dead. The task is tried again, or is settled as an error.
    Task {
        /// Which task.
        task: TaskId,
        /// Its lane.
        lane: String,
        /// The attempt that was lost.
        attempt: Attempt,
    },
    /// The session said that an agent works in it, and none does.
    Session {
        /// Which conversation.
        kind: SessionKind,
    },
    /// Half of a worktree was removed.
    Worktree {
        /// Which one, and what was removed.
        what: String,
    },
    /// What could not be put right.
    Trouble {
        /// What it was.
        what: String,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { task, lane, attempt } => {
                write!(f, "{lane}: attempt {attempt} of task {task} was lost; its process is dead")
            }
            Self::Session { kind } => write!(f, "session {kind}: nobody works in it any more"),
            Self::Worktree { what } => f.write_str(what),
            Self::Trouble { what, why } => write!(f, "{what} could not be recovered: {why}"),
        }
    }
}

impl Engine {
    /// Puts right what processes have left that died: tasks under a lease whose worker is gone,
    /// sessions that are marked active, and halves of worktrees. It knows by their slots, which nobody living lets go; what
    /// somebody works on it leaves alone.
    pub async fn recover(&self) -> Result<Vec<Recovered>, QueueError> {
        let mut recovered = Vec::new();
        for task in self.queue().store().list(&TaskQuery::open()).await? {
            let Some(lease) = task.lease() else { continue };
            let key = match task.request.issue() {
                Some(issue) => SlotKey::Issue(issue.clone()),
                None => SlotKey::Pm,
            };
            let (id, lane, attempt) = (task.id, task.lane(), lease.attempt);
            let trouble = |why: String| Recovered::Trouble { what: format!("task {id}"), why };
            let _slot = match self.only_slot(&key).await {
                Ok(Some(slot)) => slot,
                Ok(None) => continue,
                Err(error) => {
                    recovered.push(trouble(error.to_string()));
                    continue;
                }
            };
            match self.queue().lost(id, attempt).await {
                Ok(_) => recovered.push(Recovered::Task { task: id, lane, attempt }),
                // It came to its end by itself.
                Err(error) if error.lease_is_lost() => {}
                Err(error) => recovered.push(trouble(error.to_string())),
            }
        }
        if let Err(error) = self.recover_sessions(&mut recovered).await {
            recovered.push(Recovered::Trouble { what: "sessions".into(), why: error.to_string() });
        }
        match self.line.worktrees.recover().await {
            Ok(halves) => {
                recovered.extend(halves.into_iter().map(|what| Recovered::Worktree { what }));
            }
            Err(error) => {
                let what = "half-made worktrees".into();
                recovered.push(Recovered::Trouble { what, why: error.to_string() });
            }
        }
        Ok(recovered)
    }

    async fn recover_sessions(&self, recovered: &mut Vec<Recovered>) -> Result<(), SessionError> {
        for mut session in self.sessions().find(&SessionQuery::all()).await? {
            let key = match &session.kind {
                SessionKind::Dev(issue) => SlotKey::Issue(issue.clone()),
                SessionKind::Pm => SlotKey::Pm,
                _ => continue,
            };
            if session.state != SessionState::Active {
                continue;
            }
            let Ok(Some(_slot)) = self.only_slot(&key).await else { continue };
            session.state = SessionState::Idle;
            session.updated = self.line.clock.now();
            match self.sessions().put(&session, Expected::At(session.revision)).await {
                Ok(_) => recovered.push(Recovered::Session { kind: session.kind }),
                // Somebody was at work in it just now.
                Err(SessionError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The only slot there is of this key, if it is free: then nobody works with it.
    pub(super) async fn only_slot(&self, key: &SlotKey) -> Result<Option<Slot>, SlotError> {
        if self.slots.limit(key) != 1 {
            return Ok(None);
        }
        self.slots.try_acquire(key, "recovery").await
    }
}
