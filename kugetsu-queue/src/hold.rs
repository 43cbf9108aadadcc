//! Holds: why nothing is taken from the queue although there is work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Clock, Due, MemoStore, StoreError, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::watch::WatchedStore;

mod circuit;

pub use circuit::Circuit;
pub(crate) use circuit::{Ended, Try};

/// The names of the memos in which holds are kept begin so.
const PREFIX: &str = "hold/";

/// What is held, and by what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HoldKind {
    /// Somebody paused the queue.
    Pause,
    /// The model's provider of this name takes no more for now.
    Provider(String),
    /// Attempt after attempt failed, whatever the tasks were.
    Circuit,
    /// The machine has no room for another agent. It is only told: whoever starts agents looks at the
    /// machine itself.
    Room,
}

impl HoldKind {
    fn memo(&self) -> String {
        match self {
            Self::Pause => format!("{PREFIX}pause"),
            Self::Provider(name) => format!("{PREFIX}provider/{name}"),
            Self::Circuit => format!("{PREFIX}circuit"),
            Self::Room => format!("{PREFIX}room"),
        }
    }

    fn of_memo(name: &str) -> Option<Self> {
        match name.strip_prefix(PREFIX)? {
            "pause" => Some(Self::Pause),
            "circuit" => Some(Self::Circuit),
            "room" => Some(Self::Room),
            other => Some(Self::Provider(other.strip_prefix("provider/")?.to_owned())),
        }
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("the queue is paused"),
            Self::Provider(name) => write!(f, "the provider {name} takes no more for now"),
            Self::Circuit => f.write_str("the queue rests after failures"),
            Self::Room => f.write_str("the machine has no room for another agent"),
        }
    }
}

/// A reason for which nothing is taken from the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// What is held.
    pub kind: HoldKind,
    /// Why, in words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself, if it does at a time that is known.
    pub until: Option<Due>,
}

/// How long it is believed that somebody waits for room, unless they say so again.
const WAITING: Duration = Duration::from_mins(2);

/// As it is stored, in a memo. Fields are added to it, never changed.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    reason: String,
    since: Timestamp,
    #[serde(default)]
    until: Option<Due>,
    /// How often in a row the circuit was opened.
    #[serde(default, skip_serializing_if = "is_none")]
    times: u32,
    /// The task that tries whether the circuit can be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trying: Option<TaskId>,
}

// serde asks by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// The holds of a queue, in whatever process they were made. Whoever [serves](crate::Engine::serve)
/// the queue heeds them; what is started by hand does not.
#[derive(Debug, Clone)]
pub struct Holds {
    memos: Arc<dyn MemoStore>,
    clock: Arc<dyn Clock>,
    store: WatchedStore,
}

impl Holds {
    /// The holds that are kept in these memos. `store` is the queue's, whose bell is rung when a hold
    /// ends.
    pub fn new(memos: Arc<dyn MemoStore>, clock: Arc<dyn Clock>, store: WatchedStore) -> Self {
        Self { memos, clock, store }
    }

    /// Those that hold now, the pause first.
    pub async fn active(&self) -> Result<Vec<Hold>, StoreError> {
        let now = self.clock.moment();
        let memos = self.memos.memos(PREFIX).await?;
        let mut holds: Vec<Hold> =
            memos.iter().filter_map(|(name, text)| read(name, text)).collect();
        holds.retain(|hold| hold.until.is_none_or(|until| !until.reached(now)));
        for hold in &mut holds {
            // Until when it is believed is not when it ends.
            if hold.kind == HoldKind::Room {
                hold.until = None;
            }
        }
        holds.sort_by(|a, b| a.kind.cmp(&b.kind));
        Ok(holds)
    }

    /// Has nothing more be taken from the queue until it is [resumed](Self::resume). Pausing twice is
    /// pausing once. Says whether it was paused only now.
    pub async fn pause(&self, reason: &str) -> Result<bool, StoreError> {
        if self.active().await?.iter().any(|hold| hold.kind == HoldKind::Pause) {
            return Ok(false);
        }
        self.put(&HoldKind::Pause, self.note(reason, None)).await?;
        Ok(true)
    }

    /// Ends the pause, and has the queue go on that rests after failures. Says whether it was held in
    /// either way.
    pub async fn resume(&self) -> Result<bool, StoreError> {
        let name = HoldKind::Pause.memo();
        let paused = self.memos.memo(&name).await?.is_some();
        self.memos.set_memo(&name, None).await?;
        let rested = self.close_circuit().await?;
        self.store.ring();
        Ok(paused || rested)
    }

    /// Has nothing more be taken until `wait` has passed, since the provider would refuse it. A hold
    /// that ends later already stays.
    pub async fn hold_provider(
        &self,
        provider: &str,
        reason: &str,
        wait: Duration,
    ) -> Result<(), StoreError> {
        let kind = HoldKind::Provider(provider.to_owned());
        let now = self.clock.moment();
        let holds = self.active().await?;
        let longer = holds.iter().any(|hold| {
            hold.kind == kind && hold.until.is_none_or(|until| until.wait(now) >= wait)
        });
        if longer {
            return Ok(());
        }
        self.put(&kind, self.note(reason, Some(Due::after(now, wait)))).await
    }

    /// Ends the hold for this provider, if there is one: it answers again.
    pub async fn release_provider(&self, provider: &str) -> Result<(), StoreError> {
        let name = HoldKind::Provider(provider.to_owned()).memo();
        if self.memos.memo(&name).await?.is_some() {
            self.memos.set_memo(&name, None).await?;
            self.store.ring();
        }
        Ok(())
    }

    /// Tells that an agent waits for room on the machine. Whoever goes on waiting tells it again
    /// within a minute; who is not heard of any more waits no more.
    pub(crate) async fn tell_room(&self, lack: &str) -> Result<(), StoreError> {
        let until = Due::after(self.clock.moment(), WAITING);
        let mut note = self.note(lack, Some(until));
        // Of one who waits on, it is still known since when.
        if let Some(hold) = self.active().await?.iter().find(|hold| hold.kind == HoldKind::Room) {
            note.since = hold.since;
        }
        self.put(&HoldKind::Room, note).await
    }

    /// Tells that nobody waits for room.
    pub(crate) async fn forget_room(&self) -> Result<(), StoreError> {
        self.memos.set_memo(&HoldKind::Room.memo(), None).await
    }

    fn note(&self, reason: &str, until: Option<Due>) -> Note {
        let (reason, since) = (reason.to_owned(), self.clock.now());
        Note { reason, since, until, times: 0, trying: None }
    }

    async fn put(&self, kind: &HoldKind, note: Note) -> Result<(), StoreError> {
        let name = kind.memo();
        let text = written(&name, &note)?;
        self.memos.set_memo(&name, Some(&text)).await
    }
}

fn written(name: &str, what: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(what)
        .map_err(|error| StoreError::Damaged { store: name.to_owned(), detail: error.to_string() })
}

/// A memo that cannot be read holds all the same: somebody wanted the queue to rest.
fn read(name: &str, text: &str) -> Option<Hold> {
    let kind = HoldKind::of_memo(name)?;
    let note: Note = serde_json::from_str(text).unwrap_or_else(|_| Note::unreadable());
    let mut reason = note.reason;
    if note.trying.is_some() {
        reason.push_str("; one attempt tries whether it can go on");
    }
    Some(Hold { kind, reason, since: note.since, until: note.until })
}

impl Note {
    fn unreadable() -> Self {
        Self {
            reason: "held by another version of kugetsu".to_owned(),
            since: Timestamp::from_millis(0),
            until: None,
            times: 0,
            trying: None,
        }
    }
}
