//! Where the board's contents come from, and how its deeds are done.

use std::collections::HashSet;
use std::sync::Arc;

use kugetsu_core::{
    Attempt, Cursor, Event, EventLog as _, Happening, Moment, SlotKey, SlotPool as _, StoreError,
    Task, TaskId, TaskQuery, TaskQueue, TaskState, TaskStore as _, Timestamp,
};
use kugetsu_queue::{FileSlots, Follower, Holds, SystemChance, WatchedStore};

use super::board::{Board, Class, Deed, Sight};
use crate::commands::queue_daemon;
use crate::errors::CliError;
use crate::setup::{Setup, clock};

/// How far back is read at first for what running agents told, and at most, in events.
const NEAR: u64 = 1000;
const FAR: u64 = 64_000;

/// How much is read in one go.
const BATCH: u32 = 500;

/// How much earlier than asked for a log begins: wall clocks are set back now and then.
const EARLIER: u64 = 60_000;

/// The stores as a board reads them.
pub(super) struct Source<'a> {
    setup: &'a Setup,
    store: WatchedStore,
    slots: Arc<FileSlots>,
    hands: Hands,
}

/// What a deed needs.
#[derive(Clone)]
pub(super) struct Hands {
    queue: TaskQueue,
    holds: Holds,
}

impl<'a> Source<'a> {
    pub(super) async fn open(setup: &'a Setup) -> Result<Self, CliError> {
        let stores = setup.stores().await?;
        let store = WatchedStore::new(Arc::clone(&stores.tasks)).with_bell(setup.paths()?.bell());
        let time = Arc::new(clock()?);
        let queue = TaskQueue::new(Arc::new(store.clone()), time, Arc::new(SystemChance));
        let holds = setup.holds().await?;
        Ok(Self { setup, store, slots: setup.slots()?, hands: Hands { queue, holds } })
    }

    pub(super) fn now(&self) -> Moment {
        self.hands.queue.clock().moment()
    }

    pub(super) fn hands(&self) -> Hands {
        self.hands.clone()
    }

    /// Puts everything on the board that there is, and returns what will come.
    pub(super) async fn fill(&self, board: &mut Board) -> Result<Follower, CliError> {
        // What happens from now on is heard, so what is listed below can only be newer.
        let end = self.store.end().await?;
        let tasks = self.store.list(&TaskQuery::all()).await?;
        board.fill(&tasks, &self.recent(end, &tasks).await?);
        board.see(self.look().await?);
        Ok(self.store.follow(end))
    }

    /// What the agents of the running attempts have told, as far as it is not too long ago.
    async fn recent(&self, end: Cursor, tasks: &[Task]) -> Result<Vec<Event>, StoreError> {
        let running: HashSet<(TaskId, Attempt)> =
            tasks.iter().filter_map(|task| Some((task.id, task.lease()?.attempt))).collect();
        let mut back = if running.is_empty() { 0 } else { NEAR };
        loop {
            let events = self.between(end.0.saturating_sub(back), end).await?;
            let begun = events.iter().filter(|event| match &event.what {
                Happening::Claimed { attempt, .. } => running.contains(&(event.task, *attempt)),
                _ => false,
            });
            if begun.count() >= running.len() || back >= FAR.min(end.0) {
                return Ok(events);
            }
            back *= 4;
        }
    }

    async fn between(&self, after: u64, end: Cursor) -> Result<Vec<Event>, StoreError> {
        let (mut events, mut at) = (Vec::new(), Cursor(after));
        while at < end {
            let read = self.store.read(at, BATCH).await?;
            let Some((last, _)) = read.last() else { break };
            at = *last;
            events.extend(read.into_iter().filter(|(at, _)| *at <= end).map(|(_, event)| event));
        }
        Ok(events)
    }

    /// The tasks as they are now.
    pub(super) async fn renew(&self, board: &mut Board, ids: &[TaskId]) -> Result<(), CliError> {
        for id in ids {
            let task = self.store.load(*id).await?;
            board.put(*id, task.as_ref());
        }
        Ok(())
    }

    /// Slots, holds and the daemon as they are now.
    pub(super) async fn look(&self) -> Result<Sight, CliError> {
        let mut classes = Vec::new();
        for key in [SlotKey::Dev, SlotKey::Pm] {
            let holders = self.slots.holders(&key).await?;
            classes.push(Class { limit: self.slots.limit(&key), key, holders });
        }
        let daemon = queue_daemon::runs(self.setup)?;
        Ok(Sight { classes, holds: self.hands.holds.active().await?, daemon })
    }

    /// Follows what was told of a task that was asked for at this time.
    pub(super) async fn log(&self, created: Timestamp) -> Result<Follower, CliError> {
        let from = Timestamp::from_millis(created.as_millis().saturating_sub(EARLIER));
        // Somewhere between the two is the first event that is not earlier.
        let (mut low, mut high) = (0, self.store.end().await?.0);
        while high - low > u64::from(BATCH) {
            let middle = low + (high - low) / 2;
            match self.store.read(Cursor(middle), 1).await?.first() {
                Some((_, event)) if event.at < from => low = middle,
                _ => high = middle,
            }
        }
        Ok(self.store.follow(Cursor(low)))
    }
}

impl Hands {
    /// Does it, and says what was done.
    pub(super) async fn carry_out(self, deed: Deed) -> Result<String, CliError> {
        Ok(match deed {
            Deed::Cancel(id) => match self.queue.cancel(id).await?.state {
                TaskState::Leased { .. } => "its agent is told to stop".into(),
                _ => "cancelled".into(),
            },
            Deed::Retry(id) => {
                let old = self.queue.load(id).await?;
                let task = self.queue.task(old.request).with_priority(old.priority);
                let _ = self.queue.enqueue(&task).await?;
                format!("queued once more as {}", task.id)
            }
            Deed::Pause => {
                let is_new = self.holds.pause("paused on the board").await?;
                let done = "paused: running agents go on, and no more are started";
                if is_new { done } else { "paused already" }.into()
            }
            Deed::Resume => {
                let was_paused = self.holds.resume().await?;
                if was_paused { "resumed" } else { "not paused" }.into()
            }
            Deed::Quit | Deed::Suspend | Deed::Redraw | Deed::OpenLog(..) | Deed::CloseLog => {
                String::new()
            }
        })
    }
}
