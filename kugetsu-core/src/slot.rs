//! Slots: the places of a limited number in which an agent may be alive.

use std::any::Any;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Retry, Source};
use crate::issue::IssueRef;
use crate::time::Timestamp;

/// What a slot is for: a class of agents, whose number the pool limits, or one issue, which has
/// exactly one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum SlotKey {
    /// An agent that works on an issue. `MAX_CONCURRENT_AGENTS` of them.
    Dev,
    /// The PM agent. It does not count among the others.
    Pm,
    /// The right to be the one that works on this issue.
    Issue(IssueRef),
}

impl fmt::Display for SlotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dev => f.write_str("dev"),
            Self::Pm => f.write_str("pm"),
            Self::Issue(issue) => write!(f, "issue {issue}"),
        }
    }
}

/// A slot that is held. It is free again when the last clone is dropped *and* no process that has
/// inherited its [file](Slot::file) is alive, whatever died first.
#[derive(Debug, Clone)]
pub struct Slot {
    key: SlotKey,
    index: u32,
    guard: Arc<dyn SlotGuard>,
}

/// What keeps a slot held: dropping the last one releases it.
pub trait SlotGuard: fmt::Debug + Any + Send + Sync {
    /// The open file whose kernel lock is the slot, if it is one. A process that inherits it holds
    /// the slot too. It is close-on-exec; whoever wants a child to have it says so at the spawn.
    fn file(&self) -> Option<BorrowedFd<'_>>;
}

impl Slot {
    /// A slot held by `guard`. For authors of pools.
    pub fn new(key: SlotKey, index: u32, guard: Arc<dyn SlotGuard>) -> Self {
        Self { key, index, guard }
    }

    /// What it is for.
    pub fn key(&self) -> &SlotKey {
        &self.key
    }

    /// Which of the key's places, from 0 up to but excluding the limit.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The file to hand to a run's process tree, so that the slot outlives its owner with the tree.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.guard.file()
    }
}

/// Who holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SlotHolder {
    /// What is held.
    pub key: SlotKey,
    /// Which of the key's places.
    pub index: u32,
    /// Who, in the words given to [`SlotPool::acquire`].
    pub holder: String,
    /// The process that took it, where there are processes. It may have died and left the slot to
    /// its agent's process tree.
    pub pid: Option<u32>,
    /// Since when, if it is known.
    pub since: Option<Timestamp>,
}

impl SlotHolder {
    /// A holder of which no more is known than this.
    pub fn new(key: SlotKey, index: u32, holder: impl Into<String>) -> Self {
        Self { key, index, holder: holder.into(), pid: None, since: None }
    }

    /// The process that took it.
    pub fn with_pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// When it was taken.
    pub fn with_since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }
}

/// Hands out slots, and never one more than there are.
///
/// # Promises
///
/// * For a class no more slots are held at any time than its limit, over all processes that use the
///   same pool; for an issue no more than one.
/// * A slot is free as soon as its last holder is gone, however it went; nothing has to be cleaned.
/// * Two tasks of one process never share a slot.
/// * A waiting `acquire` burns no processor time and is woken, and may be dropped at any time
///   without losing a slot.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::slot_pool_conformance!`.
#[async_trait]
pub trait SlotPool: fmt::Debug + Send + Sync + 'static {
    /// Waits until a slot is free and takes it. `holder` says for people who takes it and for what;
    /// it holds no secret.
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError>;

    /// Takes a slot if one is free now; `None` if none is. A limit of 0 is
    /// [`SlotError::NoPlace`] here too.
    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError>;

    /// Who holds the key's slots now, by index. A snapshot: it may be outdated when it arrives.
    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError>;

    /// How many slots the key has.
    fn limit(&self, key: &SlotKey) -> u32;
}

/// Why a pool could not do what was asked. That no slot is free is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The key has no place at all, so that waiting would be for ever.
    #[error("there is no slot for {key}: the limit is 0")]
    NoPlace {
        /// What was asked for.
        key: SlotKey,
    },
    /// The pool's own fault.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which pool.
        who: String,
        /// What it was doing, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl SlotError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NoPlace { .. } => Retry::Never,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
