use std::future::pending;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kugetsu_core::{MemorySlots, Slot, SlotError, SlotGuard, SlotHolder, SlotKey, SlotPool};
use kugetsu_testkit::suite::{SlotPoolFixture, slots};

use super::{assert_each_is_noticed, assert_sound, faults};

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
            "holds nothing" => Slot::new(key.clone(), slot.index(), Arc::new(Nothing)),
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

faults! {
    a_class_has_as_many_slots_as_its_limit {
        "has one more" => "a slot beyond the limit",
        "numbers all slots 0" => "left: {0}",
    }
    never_more_slots_are_held_than_the_limit {
        "has one more" => "slot 3 of 3",
        "numbers all slots 0" => "slot 0 is held twice",
    }
    two_pools_on_the_same_place_share_the_limit {
        "shares nothing" => "slot 0 is held twice",
    }
    an_issue_has_one_slot {
        "forgets issues" => "an issue's second slot",
    }
    issues_that_look_alike_have_slots_of_their_own {
        "folds issues" => "the slot of issue github.com/a-b/c#1 is not free",
    }
    the_pm_does_not_count_among_the_others {
        "counts the PM" => "the slot of pm is not free",
    }
    a_slot_dropped_is_free {
        "never gives back" => "the slot of dev is not free",
    }
    a_slot_is_held_until_its_last_clone_is_dropped {
        "holds nothing" => "a clone holds it",
    }
    a_slot_outlives_its_pool {
        "shares nothing" => "a slot beyond the limit",
    }
    a_waiter_gets_the_slot_that_is_given_back {
        "wakes nobody" => "nothing within 180 s",
    }
    a_waiter_of_another_pool_gets_the_slot_that_is_given_back {
        "wakes nobody" => "nothing within 180 s",
    }
    many_waiters_all_get_their_turn {
        "wakes nobody" => "nothing within 180 s",
    }
    a_waiter_for_one_key_does_not_keep_others_waiting {
        "counts the PM" => "nothing within 180 s",
    }
    a_waiter_who_gives_up_loses_no_slot {
        "loses the slots of those who give up" => "nothing within 180 s",
    }
    holders_say_who_holds_what {
        "names nobody" => "left: []",
        "says who in disorder" => "left: [(2, \"cleo\"), (0, \"anna\")]",
    }
    a_holder_comes_back_as_it_was_named {
        "trims" => "left: [\"two\\nlines\\r\\nand\\ttabs\"]",
    }
    without_a_place_nobody_waits {
        "waits for ever" => "nothing within 180 s",
    }
    a_slot_lives_as_long_as_a_process_that_has_inherited_it {
        "has no files" => "whether there is a file",
    }
}

#[tokio::test]
async fn a_faulty_pool_is_noticed() {
    let faulty = async |fault| {
        Box::new(Fixture { fault, inner: OnceLock::new() }) as Box<dyn SlotPoolFixture>
    };
    assert_sound(slots::PROMISES, &faulty).await;
    assert_each_is_noticed(slots::PROMISES, FAULTS, &faulty).await;
}
