use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kugetsu_core::{Slot, SlotError, SlotGuard, SlotHolder, SlotKey, SlotPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Slots that are held in this process only, without a file. Clones share them.
#[derive(Debug, Clone)]
pub struct MemorySlots {
    dev: u32,
    places: Arc<Mutex<BTreeMap<SlotKey, Arc<Places>>>>,
}

/// The places of one key.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    /// Who holds each place; as many as there are permits.
    holders: Mutex<Vec<Option<String>>>,
}

impl MemorySlots {
    /// A pool with so many dev slots and one for the PM.
    pub fn new(dev: u32) -> Self {
        Self { dev, places: Arc::default() }
    }

    fn places(&self, key: &SlotKey) -> Arc<Places> {
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let limit = self.limit(key) as usize;
            Arc::new(Places {
                free: Arc::new(Semaphore::new(limit)),
                holders: Mutex::new(vec![None; limit]),
            })
        };
        Arc::clone(all.entry(key.clone()).or_insert_with(new))
    }
}

#[async_trait]
impl SlotPool for MemorySlots {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        let no_place = || SlotError::NoPlace { key: key.clone() };
        if self.limit(key) == 0 {
            return Err(no_place());
        }
        let places = self.places(key);
        // The semaphore is never closed.
        let permit = Arc::clone(&places.free).acquire_owned().await.map_err(|_| no_place())?;
        places.take(key, permit, holder).ok_or_else(no_place)
    }

    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        if self.limit(key) == 0 {
            return Err(SlotError::NoPlace { key: key.clone() });
        }
        let places = self.places(key);
        let permit = Arc::clone(&places.free).try_acquire_owned();
        Ok(permit.ok().and_then(|permit| places.take(key, permit, holder)))
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        let places = self.places(key);
        let holders = places.holders();
        let held = (0..).zip(holders.iter()).filter_map(|(index, holder)| {
            holder.as_ref().map(|holder| SlotHolder::new(key.clone(), index, holder))
        });
        Ok(held.collect())
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        if *key == SlotKey::Dev { self.dev } else { 1 }
    }
}

impl Places {
    /// Takes a place for whoever has a permit; there is one free then.
    fn take(
        self: &Arc<Self>,
        key: &SlotKey,
        permit: OwnedSemaphorePermit,
        holder: &str,
    ) -> Option<Slot> {
        let mut holders = self.holders();
        let index = holders.iter().position(Option::is_none)?;
        holders[index] = Some(holder.to_owned());
        let held = Held { places: Arc::clone(self), index, _permit: permit };
        Some(Slot::new(key.clone(), u32::try_from(index).ok()?, Arc::new(held)))
    }

    fn holders(&self) -> MutexGuard<'_, Vec<Option<String>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place that is held.
#[derive(Debug)]
struct Held {
    places: Arc<Places>,
    index: usize,
    /// Given back after the place has been freed, so that whoever gets it finds one.
    _permit: OwnedSemaphorePermit,
}

impl SlotGuard for Held {
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.holders()[self.index] = None;
    }
}
