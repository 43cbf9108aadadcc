//! The circuit breaker: a queue rests when attempt after attempt fails, whatever the tasks are, and one
//! attempt then tries whether it goes on.
//!
//! ```text
//! closed ── several failures in a row ──► open ── the time is up ──► one attempt tries
//!    ▲                                      ▲                            │   │
//!    └──────────────── success ─────────────┼────────────────────────────┘   │
//!                                           └──── failure: twice as long ────┘
//! ```
//!
//! What is known lies in memos, so that it outlives processes and is shared by them. Two processes that
//! tell of a failure at the same instant may count one of them only; the queue then rests one failure
//! later.

use std::time::Duration;

use kugetsu_core::{Due, StoreError, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HoldKind, Holds, Note, written};

/// The memo of the failures since the last success.
const ROW: &str = "circuit/row";

/// How long one attempt may try before another one may, too.
const TRYING: Duration = Duration::from_mins(10);

/// When a queue rests since attempt after attempt fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Circuit {
    /// After how many failures in a row, of at least two tasks. 5.
    pub failures: usize,
    /// How old the first of them may be. 10 min.
    pub within: Duration,
    /// How long it rests the first time. Each time that it still fails, twice as long. 30 s.
    pub first: Duration,
    /// How long it rests at most. 10 min.
    pub longest: Duration,
}

impl Default for Circuit {
    fn default() -> Self {
        Self {
            failures: 5,
            within: Duration::from_mins(10),
            first: Duration::from_secs(30),
            longest: Duration::from_mins(10),
        }
    }
}

impl Circuit {
    /// After so many failures in a row, at least 2.
    pub fn with_failures(mut self, failures: usize) -> Self {
        self.failures = failures.max(2);
        self
    }

    fn wait(&self, times: u32) -> Duration {
        let doubled = 2u32.saturating_pow(times.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// The failures since the last success, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row(Vec<(Timestamp, TaskId)>);

/// How an attempt ended, as the circuit sees it.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Everything works that an attempt needs.
    Well,
    /// In a way that another attempt may not.
    Badly { reason: String },
    /// In a way that says nothing of others: a task's own fault, or somebody's wish.
    Otherwise,
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// It may, as ever.
    Free,
    /// It may, and no other one before it has ended.
    Alone,
    /// It may not.
    Not,
}

impl Holds {
    /// Asks before this task is claimed. Whoever gets [`Try::Alone`] and then begins nothing says so
    /// with [`ended`](Self::ended).
    pub(crate) async fn try_circuit(&self, task: TaskId) -> Result<Try, StoreError> {
        let Some(mut note) = self.circuit().await? else { return Ok(Try::Free) };
        let now = self.clock.moment();
        if note.until.is_none_or(|until| !until.reached(now)) {
            return Ok(Try::Not);
        }
        note.trying = Some(task);
        note.until = Some(Due::after(now, TRYING));
        self.put(&HoldKind::Circuit, note).await?;
        Ok(Try::Alone)
    }

    /// Tells how an attempt of the task ended that began then. Returns why the queue rests from now on,
    /// and until when, if it is this that has it rest.
    pub(crate) async fn ended(
        &self,
        circuit: &Circuit,
        (task, began): (TaskId, Option<Timestamp>),
        how: Ended,
    ) -> Result<Option<(String, Due)>, StoreError> {
        let Some(mut note) = self.circuit().await? else {
            return self.in_a_row(circuit, task, how).await;
        };
        let tries = note.trying == Some(task);
        match how {
            // One that began before may have got its last answer before.
            Ended::Well if tries || began.is_some_and(|began| note.since < began) => {
                self.close_circuit().await?;
                self.store.ring();
            }
            Ended::Badly { reason } if tries => {
                note.times = note.times.saturating_add(1);
                let until = Due::after(self.clock.moment(), circuit.wait(note.times));
                let reason = format!("it was tried again and failed: {reason}");
                (note.trying, note.until) = (None, Some(until));
                note.reason.clone_from(&reason);
                self.put(&HoldKind::Circuit, note).await?;
                // Others wait for the end of the trial.
                self.store.ring();
                return Ok(Some((reason, until)));
            }
            // The next one may try at once.
            Ended::Otherwise if tries => {
                note.trying = None;
                note.until = Some(Due::at_once(self.clock.moment()));
                self.put(&HoldKind::Circuit, note).await?;
                self.store.ring();
            }
            _ => {}
        }
        Ok(None)
    }

    async fn in_a_row(
        &self,
        circuit: &Circuit,
        task: TaskId,
        how: Ended,
    ) -> Result<Option<(String, Due)>, StoreError> {
        let stored = self.memos.memo(ROW).await?;
        let reason = match how {
            Ended::Badly { reason } => reason,
            Ended::Well if stored.is_some() => {
                self.memos.set_memo(ROW, None).await?;
                return Ok(None);
            }
            Ended::Well | Ended::Otherwise => return Ok(None),
        };
        let Row(mut row) =
            stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let now = self.clock.moment();
        row.retain(|(at, _)| now.at.since(*at) <= circuit.within);
        row.push((now.at, task));
        let few = row.len() < circuit.failures;
        if few || row.iter().all(|(_, other)| *other == task) {
            // Of one task alone no more is kept than is needed to see that it is one.
            row.drain(..row.len().saturating_sub(circuit.failures));
            self.memos.set_memo(ROW, Some(&written(ROW, &Row(row))?)).await?;
            return Ok(None);
        }
        let reason = format!("{} attempts in a row failed, the last one: {reason}", row.len());
        let until = Due::after(now, circuit.wait(1));
        let note = Note { times: 1, ..self.note(&reason, Some(until)) };
        self.put(&HoldKind::Circuit, note).await?;
        self.memos.set_memo(ROW, None).await?;
        Ok(Some((reason, until)))
    }

    /// Forgets all failures. Says whether the queue rested for them.
    pub(super) async fn close_circuit(&self) -> Result<bool, StoreError> {
        let name = HoldKind::Circuit.memo();
        let rested = self.memos.memo(&name).await?.is_some();
        self.memos.set_memo(&name, None).await?;
        self.memos.set_memo(ROW, None).await?;
        Ok(rested)
    }

    /// What is known of the circuit, unless it is closed. One that cannot be read stays open until
    /// somebody resumes the queue.
    async fn circuit(&self) -> Result<Option<Note>, StoreError> {
        let memo = self.memos.memo(&HoldKind::Circuit.memo()).await?;
        Ok(memo.map(|text| serde_json::from_str(&text).unwrap_or_else(|_| Note::unreadable())))
    }
}
