//! Slots of one process, without a file and without a runtime.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;

use crate::slot::{Slot, SlotError, SlotGuard, SlotHolder, SlotKey, SlotPool};

/// Slots that are held in this process only. Clones share them; whoever waits longest is served
/// first.
///
/// For tests, and for programs whose agents are all their own: a limit over several processes needs
/// kernel locks, such as those of `kugetsu-queue`'s `FileSlots`.
#[derive(Debug, Clone)]
pub struct MemorySlots {
    dev: u32,
    keys: Arc<Mutex<BTreeMap<SlotKey, Arc<Places>>>>,
}

/// The places of one key.
#[derive(Debug)]
struct Places(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Who holds each place.
    holders: Vec<Option<String>>,
    /// Who waits, in the order in which they came.
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

impl MemorySlots {
    /// A pool with so many dev slots, one for the PM, and one for each issue.
    pub fn new(dev: u32) -> Self {
        Self { dev, keys: Arc::default() }
    }

    fn places(&self, key: &SlotKey) -> Result<Arc<Places>, SlotError> {
        let limit = self.limit(key);
        if limit == 0 {
            return Err(SlotError::NoPlace { key: key.clone() });
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(keys.entry(key.clone()).or_insert_with(|| Arc::new(Places::of(limit)))))
    }
}

#[async_trait]
impl SlotPool for MemorySlots {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        let places = self.places(key)?;
        let ticket = Ticket::of(&places);
        let index = poll_fn(|context| {
            let mut state = places.lock();
            let before = state.waiting.range(..ticket.number).count();
            if let Some(index) = state.take(before, holder) {
                return Poll::Ready(index);
            }
            state.waiting.insert(ticket.number, context.waker().clone());
            Poll::Pending
        });
        let index = index.await;
        Ok(places.held(key, index))
    }

    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        let places = self.places(key)?;
        let index = {
            let mut state = places.lock();
            let before = state.waiting.len();
            state.take(before, holder)
        };
        Ok(index.map(|index| places.held(key, index)))
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        let Ok(places) = self.places(key) else { return Ok(Vec::new()) };
        let state = places.lock();
        let held = (0..).zip(&state.holders).filter_map(|(index, holder)| {
            holder.as_ref().map(|holder| SlotHolder::new(key.clone(), index, holder))
        });
        Ok(held.collect())
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        if *key == SlotKey::Dev { self.dev } else { 1 }
    }
}

impl Places {
    fn of(limit: u32) -> Self {
        let holders = (0..limit).map(|_| None).collect();
        Self(Mutex::new(State { holders, waiting: BTreeMap::new(), next: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(self: &Arc<Self>, key: &SlotKey, index: usize) -> Slot {
        let held = Held { places: Arc::clone(self), index };
        Slot::new(key.clone(), u32::try_from(index).unwrap_or(u32::MAX), Arc::new(held))
    }
}

impl State {
    /// Takes a place if there is one left after those who came before have one each.
    fn take(&mut self, before: usize, holder: &str) -> Option<usize> {
        let mut free = self.holders.iter().enumerate().filter(|(_, holder)| holder.is_none());
        let (first, _) = free.next()?;
        // The first one is taken off already.
        if free.count() < before {
            return None;
        }
        self.holders[first] = Some(holder.to_owned());
        Some(first)
    }

    /// Has everybody look who waits: a place came free, or somebody in front went away.
    fn wake(&self) {
        self.waiting.values().for_each(Waker::wake_by_ref);
    }
}

/// A place in the order of those who wait.
struct Ticket<'a> {
    places: &'a Places,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn of(places: &'a Places) -> Self {
        let mut state = places.lock();
        let number = state.next;
        state.next += 1;
        Self { places, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        if state.waiting.remove(&self.number).is_some() {
            state.wake();
        }
    }
}

/// One place that is held.
#[derive(Debug)]
struct Held {
    places: Arc<Places>,
    index: usize,
}

impl SlotGuard for Held {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.holders[self.index] = None;
        state.wake();
    }
}
