use std::future::pending;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kugetsu_core::{MemorySlots, Slot, SlotError, SlotGuard, SlotHolder, SlotKey, SlotPool};
use kugetsu_testkit::suite::{SlotPoolFixture, slots};

use super::assert_bites;

struct Fixture {
    fault: &'static str,
    inner: OnceLock<MemorySlots>,
}

#[derive(Debug)]
struct Faulty {
    fault: &'static str,
    dev: u32,
    inner: MemorySlots,
}

/// Holds nothing.
#[derive(Debug)]
struct Nothing;

impl SlotGuard for Nothing {
    fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
}

#[async_trait]
impl SlotPoolFixture for Fixture {
    async fn open(&self, dev: u32) -> Arc<dyn SlotPool> {
        let places = if self.fault == "has one more" { dev + 1 } else { dev };
        let new = || MemorySlots::new(places);
        let inner = match self.fault {
            "shares nothing" => new(),
            _ => self.inner.get_or_init(new).clone(),
        };
        Arc::new(Faulty { fault: self.fault, dev, inner })
    }

    fn slots_are_files(&self) -> bool {
        self.fault == "has no files"
    }
}

impl Faulty {
    fn key(&self, key: &SlotKey) -> SlotKey {
        match (self.fault, key) {
            ("counts the PM", SlotKey::Pm) => SlotKey::Dev,
            ("folds issues", SlotKey::Issue(issue)) => {
                let text = issue.to_string().to_lowercase().replace("a-b", "a").replace("b-c", "c");
                SlotKey::Issue(text.parse().unwrap())
            }
            _ => key.clone(),
        }
    }

    fn changed(&self, key: &SlotKey, slot: Slot) -> Slot {
        match self.fault {
            "forgets issues" if matches!(key, SlotKey::Issue(_)) => {
                Slot::new(key.clone(), 0, Arc::new(Nothing))
            }
            "numbers all slots 0" => Slot::new(key.clone(), 0, Arc::new(Kept { _slot: slot })),
            "never gives back" => {
                std::mem::forget(slot.clone());
                slot
            }
            _ => slot,
        }
    }
}

#[derive(Debug)]
struct Kept {
    _slot: Slot,
}

impl SlotGuard for Kept {
    fn file(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
}

#[async_trait]
impl SlotPool for Faulty {
    async fn acquire(&self, key: &SlotKey, holder: &str) -> Result<Slot, SlotError> {
        let holder = if self.fault == "trims" { holder.trim() } else { holder };
        let wanted = self.key(key);
        if self.fault == "wakes nobody" {
            return match self.inner.try_acquire(&wanted, holder).await? {
                Some(slot) => Ok(slot),
                None => pending().await,
            };
        }
        if self.fault == "waits for ever" && self.limit(key) == 0 {
            pending::<()>().await;
        }
        if self.fault == "loses the slots of those who give up" {
            let (inner, holder) = (self.inner.clone(), holder.to_owned());
            let (taken, taking) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                let slot = inner.acquire(&wanted, &holder).await;
                if let Err(lost) = taken.send(slot) {
                    std::mem::forget(lost);
                }
            });
            return taking.await.unwrap();
        }
        Ok(self.changed(key, self.inner.acquire(&wanted, holder).await?))
    }

    async fn try_acquire(&self, key: &SlotKey, holder: &str) -> Result<Option<Slot>, SlotError> {
        let slot = self.inner.try_acquire(&self.key(key), holder).await?;
        Ok(slot.map(|slot| self.changed(key, slot)))
    }

    async fn holders(&self, key: &SlotKey) -> Result<Vec<SlotHolder>, SlotError> {
        let mut holders = self.inner.holders(&self.key(key)).await?;
        match self.fault {
            "names nobody" => holders.clear(),
            "says who in disorder" => holders.reverse(),
            _ => {}
        }
        Ok(holders)
    }

    fn limit(&self, key: &SlotKey) -> u32 {
        if *key == SlotKey::Dev { self.dev } else { self.inner.limit(key) }
    }
}

/// On a paused clock, so that whoever waits for ever does not take long.
#[tokio::test(start_paused = true)]
async fn a_faulty_pool_is_noticed() {
    for (fault, name) in [
        ("has one more", "a_class_has_as_many_slots_as_its_limit"),
        ("has one more", "never_more_slots_are_held_than_the_limit"),
        ("numbers all slots 0", "a_class_has_as_many_slots_as_its_limit"),
        ("numbers all slots 0", "never_more_slots_are_held_than_the_limit"),
        ("shares nothing", "two_pools_on_the_same_place_share_the_limit"),
        ("shares nothing", "a_slot_outlives_its_pool"),
        ("forgets issues", "an_issue_has_one_slot"),
        ("folds issues", "issues_that_look_alike_have_slots_of_their_own"),
        ("counts the PM", "the_pm_does_not_count_among_the_others"),
        ("never gives back", "a_slot_dropped_is_free"),
        ("wakes nobody", "a_waiter_gets_the_slot_that_is_given_back"),
        ("wakes nobody", "a_waiter_of_another_pool_gets_the_slot_that_is_given_back"),
        ("wakes nobody", "many_waiters_all_get_their_turn"),
        ("counts the PM", "a_waiter_for_one_key_does_not_keep_others_waiting"),
        ("loses the slots of those who give up", "a_waiter_who_gives_up_loses_no_slot"),
        ("names nobody", "holders_say_who_holds_what"),
        ("says who in disorder", "holders_say_who_holds_what"),
        ("trims", "a_holder_comes_back_as_it_was_named"),
        ("waits for ever", "without_a_place_nobody_waits"),
        ("has no files", "a_slot_lives_as_long_as_a_process_that_has_inherited_it"),
    ] {
        let faulty = Fixture { fault, inner: OnceLock::new() };
        assert_bites(slots::PROMISES, name, &faulty as &dyn SlotPoolFixture, fault).await;
    }
}
