//! Holds: why nothing is taken from the queue although there is work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Clock, Due, MemoStore, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::watch::WatchedStore;

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
}

impl HoldKind {
    fn memo(&self) -> String {
        match self {
            Self::Pause => format!("{PREFIX}pause"),
            Self::Provider(name) => format!("{PREFIX}provider/{name}"),
        }
    }

    fn of_memo(name: &str) -> Option<Self> {
        match name.strip_prefix(PREFIX)? {
            "pause" => Some(Self::Pause),
            other => Some(Self::Provider(other.strip_prefix("provider/")?.to_owned())),
        }
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause => f.write_str("the queue is paused"),
            Self::Provider(name) => write!(f, "the provider {name} takes no more for now"),
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
    /// When it ends by itself, if it does.
    pub until: Option<Due>,
}

/// As it is stored, in a memo. Fields are added to it, never changed.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    reason: String,
    since: Timestamp,
    #[serde(default)]
    until: Option<Due>,
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
        holds.sort_by(|a, b| a.kind.cmp(&b.kind));
        Ok(holds)
    }

    /// Has nothing more be taken from the queue until it is [resumed](Self::resume). Pausing twice is
    /// pausing once. Says whether it was paused only now.
    pub async fn pause(&self, reason: &str) -> Result<bool, StoreError> {
        if self.active().await?.iter().any(|hold| hold.kind == HoldKind::Pause) {
            return Ok(false);
        }
        self.put(&HoldKind::Pause, reason, None).await?;
        Ok(true)
    }

    /// Ends the pause. Says whether there was one.
    pub async fn resume(&self) -> Result<bool, StoreError> {
        let name = HoldKind::Pause.memo();
        let paused = self.memos.memo(&name).await?.is_some();
        self.memos.set_memo(&name, None).await?;
        self.store.ring();
        Ok(paused)
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
        self.put(&kind, reason, Some(Due::after(now, wait))).await
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

    async fn put(&self, kind: &HoldKind, why: &str, until: Option<Due>) -> Result<(), StoreError> {
        let note = Note { reason: why.to_owned(), since: self.clock.now(), until };
        let text = serde_json::to_string(&note).map_err(|error| StoreError::Damaged {
            store: kind.memo(),
            detail: error.to_string(),
        })?;
        self.memos.set_memo(&kind.memo(), Some(&text)).await
    }
}

/// A memo that cannot be read holds all the same: somebody wanted the queue to rest.
fn read(name: &str, text: &str) -> Option<Hold> {
    let kind = HoldKind::of_memo(name)?;
    let note = serde_json::from_str(text).unwrap_or_else(|_| Note {
        reason: "held by another version of kugetsu".to_owned(),
        since: Timestamp::from_millis(0),
        until: None,
    });
    Some(Hold { kind, reason: note.reason, since: note.since, until: note.until })
}
