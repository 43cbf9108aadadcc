//! What a [`SlotPool`] promises.

use std::collections::BTreeSet;
use std::io::Write;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{Slot, SlotError, SlotHolder, SlotKey, SlotPool};

use super::promise::{at_once, beside, not_applicable, once, promises};
use super::sample::{HOSTILE, issue, issue_of};

/// One place in which slots are held, with none of them held at first.
#[async_trait]
pub trait SlotPoolFixture: Send + Sync + 'static {
    /// Opens the pool with so many dev slots and one PM slot. Every call opens the same place again,
    /// as another process would; a pool that lives in one process only hands out the same one. A
    /// fixture is asked for one number only.
    async fn open(&self, dev: u32) -> Arc<dyn SlotPool>;

    /// Whether a slot is the lock of an open file, which a process that inherits the file holds too.
    fn slots_are_files(&self) -> bool {
        true
    }
}

promises! {
    /// Makes a test of each promise of [`SlotPool`](kugetsu_core::SlotPool). The argument is a
    /// [`SlotPoolFixture`](crate::suite::SlotPoolFixture).
    macro slot_pool_conformance of slots for dyn SlotPoolFixture ($);

    from self {
        a_class_has_as_many_slots_as_its_limit,
        never_more_slots_are_held_than_the_limit,
        two_pools_on_the_same_place_share_the_limit,
        an_issue_has_one_slot,
        issues_that_look_alike_have_slots_of_their_own,
        the_pm_does_not_count_among_the_others,
        a_slot_dropped_is_free,
        a_slot_is_held_until_its_last_clone_is_dropped,
        a_slot_outlives_its_pool,
        a_waiter_gets_the_slot_that_is_given_back,
        a_waiter_of_another_pool_gets_the_slot_that_is_given_back,
        many_waiters_all_get_their_turn,
        a_waiter_for_one_key_does_not_keep_others_waiting,
        a_waiter_who_gives_up_loses_no_slot,
        holders_say_who_holds_what,
        a_holder_comes_back_as_it_was_named,
        without_a_place_nobody_waits,
        a_slot_lives_as_long_as_a_process_that_has_inherited_it,
    }
}

fn fine<T>(done: Result<T, SlotError>) -> T {
    done.unwrap_or_else(|error| panic!("the pool failed: {error}"))
}

async fn try_take(pool: &dyn SlotPool, key: &SlotKey) -> Option<Slot> {
    fine(pool.try_acquire(key, "a test").await)
}

async fn take(pool: &dyn SlotPool, key: &SlotKey) -> Slot {
    fine(pool.acquire(key, "a test").await)
}

async fn holders(pool: &dyn SlotPool, key: &SlotKey) -> Vec<SlotHolder> {
    fine(pool.holders(key).await)
}

/// A slot that has to be free now, or in the blink of an eye: while a program is being started
/// elsewhere in this process, it has all of the process's files.
async fn free(pool: &dyn SlotPool, key: &SlotKey) -> Slot {
    for _ in 0..1000 {
        if let Some(slot) = try_take(pool, key).await {
            return slot;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the slot of {key} is not free, but held by {:?}", holders(pool, key).await);
}

async fn assert_nobody_holds(pool: &dyn SlotPool, key: &SlotKey) {
    drop(free(pool, key).await);
    for _ in 0..1000 {
        if holders(pool, key).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{key} is said to be held by {:?}", holders(pool, key).await);
}

fn issue_slot(number: u64) -> SlotKey {
    SlotKey::Issue(issue(number))
}

async fn a_class_has_as_many_slots_as_its_limit(f: &dyn SlotPoolFixture) {
    let pool = f.open(3).await;
    assert_eq!(pool.limit(&SlotKey::Dev), 3);
    assert_eq!(pool.limit(&SlotKey::Pm), 1);
    for _ in 0..3 {
        let mut held = vec![];
        for _ in 0..3 {
            let slot = free(&*pool, &SlotKey::Dev).await;
            assert_eq!(slot.key(), &SlotKey::Dev);
            held.push(slot);
        }
        let indices: BTreeSet<u32> = held.iter().map(Slot::index).collect();
        assert_eq!(indices, BTreeSet::from([0, 1, 2]));
        assert!(try_take(&*pool, &SlotKey::Dev).await.is_none(), "a slot beyond the limit");
    }
}

/// Who holds a slot at the moment, counted by whoever holds one.
#[derive(Debug, Default)]
struct Held {
    indices: BTreeSet<u32>,
    most: usize,
}

/// Lets 32 tasks take a slot each, several times, and returns the most that were held at once.
async fn most_held(pools: &[Arc<dyn SlotPool>], key: &SlotKey, limit: u32) -> usize {
    let held = Arc::new(Mutex::new(Held::default()));
    at_once((0..32).map(|number| {
        let (pool, key) = (Arc::clone(&pools[number % pools.len()]), key.clone());
        let held = Arc::clone(&held);
        async move {
            for round in 0..4 {
                let slot = if (number + round) % 4 == 0 {
                    match fine(pool.try_acquire(&key, "one who tries").await) {
                        Some(slot) => slot,
                        None => continue,
                    }
                } else {
                    fine(pool.acquire(&key, "one who waits").await)
                };
                assert!(slot.index() < limit, "slot {} of {limit}", slot.index());
                {
                    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                    let alone = held.indices.insert(slot.index());
                    assert!(alone, "slot {} is held twice", slot.index());
                    held.most = held.most.max(held.indices.len());
                }
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                held.lock().unwrap_or_else(PoisonError::into_inner).indices.remove(&slot.index());
                drop(slot);
            }
        }
    }))
    .await;
    let held = held.lock().unwrap_or_else(PoisonError::into_inner);
    held.most
}

async fn never_more_slots_are_held_than_the_limit(f: &dyn SlotPoolFixture) {
    let pool = f.open(3).await;
    let most = most_held(&[Arc::clone(&pool)], &SlotKey::Dev, 3).await;
    assert!((1..=3).contains(&most), "{most} slots were held at once");
    assert_nobody_holds(&*pool, &SlotKey::Dev).await;
}

async fn two_pools_on_the_same_place_share_the_limit(f: &dyn SlotPoolFixture) {
    let pools = [f.open(2).await, f.open(2).await];
    let most = most_held(&pools, &SlotKey::Dev, 2).await;
    assert!((1..=2).contains(&most), "{most} slots were held at once");

    let first = take(&*pools[0], &SlotKey::Dev).await;
    let second = take(&*pools[1], &SlotKey::Dev).await;
    assert_ne!(first.index(), second.index());
    for pool in &pools {
        assert!(try_take(&**pool, &SlotKey::Dev).await.is_none(), "a slot beyond the limit");
    }
    drop(first);
    free(&*pools[1], &SlotKey::Dev).await;
}

async fn an_issue_has_one_slot(f: &dyn SlotPoolFixture) {
    let pools = [f.open(3).await, f.open(3).await];
    assert_eq!(pools[0].limit(&issue_slot(1)), 1);
    let first = take(&*pools[0], &issue_slot(1)).await;
    assert_eq!((first.key(), first.index()), (&issue_slot(1), 0));
    for pool in &pools {
        assert!(try_take(&**pool, &issue_slot(1)).await.is_none(), "an issue's second slot");
    }
    let _other = free(&*pools[1], &issue_slot(2)).await;
    drop(first);
    free(&*pools[1], &issue_slot(1)).await;
    let most = most_held(&pools, &issue_slot(3), 1).await;
    assert_eq!(most, 1, "so many have held one issue's slot at once");
}

async fn issues_that_look_alike_have_slots_of_their_own(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let alike = [
        "github.com/a/b-c",
        "github.com/a-b/c",
        "github.com/A/b-c",
        "github.com/a/b/c",
        "github.com:443/a/b-c",
    ];
    let mut held = vec![];
    for repository in alike {
        let key = SlotKey::Issue(issue_of(repository, 1));
        held.push(free(&*pool, &key).await);
    }
}

async fn the_pm_does_not_count_among_the_others(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let _dev = take(&*pool, &SlotKey::Dev).await;
    let _issue = take(&*pool, &issue_slot(1)).await;
    let _pm = free(&*pool, &SlotKey::Pm).await;
    assert!(try_take(&*pool, &SlotKey::Pm).await.is_none(), "a second PM");
}

async fn a_slot_dropped_is_free(f: &dyn SlotPoolFixture) {
    let pool = f.open(2).await;
    for _ in 0..20 {
        let first = take(&*pool, &SlotKey::Dev).await;
        let second = take(&*pool, &SlotKey::Dev).await;
        assert!(try_take(&*pool, &SlotKey::Dev).await.is_none());
        drop(first);
        let third = free(&*pool, &SlotKey::Dev).await;
        assert_ne!(third.index(), second.index());
    }
    // Also when its holder panics.
    let (own, key) = (Arc::clone(&pool), SlotKey::Pm);
    let holder = beside(async move {
        let _slot = take(&*own, &key).await;
        // Not a panic: that would only fill the log.
        std::panic::resume_unwind(Box::new("gone"));
    });
    assert!(holder.await.is_err());
    free(&*pool, &SlotKey::Pm).await;
}

async fn a_slot_is_held_until_its_last_clone_is_dropped(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let slot = take(&*pool, &SlotKey::Dev).await;
    let clone = slot.clone();
    drop(slot);
    assert!(try_take(&*pool, &SlotKey::Dev).await.is_none(), "a clone holds it");
    assert_eq!(holders(&*pool, &SlotKey::Dev).await.len(), 1);
    drop(clone);
    free(&*pool, &SlotKey::Dev).await;
}

async fn a_slot_outlives_its_pool(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let slot = take(&*pool, &SlotKey::Dev).await;
    drop(pool);
    let pool = f.open(1).await;
    assert!(try_take(&*pool, &SlotKey::Dev).await.is_none(), "a slot beyond the limit");
    drop(slot);
    free(&*pool, &SlotKey::Dev).await;
}

async fn a_waiter_gets_the_slot_that_is_given_back(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    assert_woken(&pool, &pool, &SlotKey::Dev).await;
    assert_woken(&pool, &pool, &SlotKey::Pm).await;
    assert_woken(&pool, &pool, &issue_slot(1)).await;
}

async fn a_waiter_of_another_pool_gets_the_slot_that_is_given_back(f: &dyn SlotPoolFixture) {
    let (here, there) = (f.open(1).await, f.open(1).await);
    assert_woken(&here, &there, &SlotKey::Dev).await;
    assert_woken(&here, &there, &issue_slot(1)).await;
}

/// Lets one hold the slot until the other waits, and sees that the other gets it.
async fn assert_woken(holding: &Arc<dyn SlotPool>, waiting: &Arc<dyn SlotPool>, key: &SlotKey) {
    let slot = take(&**holding, key).await;
    let mut waiter = pin!(waiting.acquire(key, "one who waits"));
    for _ in 0..20 {
        assert!(once(waiter.as_mut()).await.is_none(), "a second slot of {key}");
        tokio::task::yield_now().await;
    }
    drop(slot);
    let slot = fine(waiter.await);
    assert_eq!(slot.key(), key);
}

async fn many_waiters_all_get_their_turn(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let slot = take(&*pool, &SlotKey::Dev).await;
    let mut waiters: Vec<_> = (0..16).map(|_| pool.acquire(&SlotKey::Dev, "one of many")).collect();
    for waiter in &mut waiters {
        assert!(once(waiter.as_mut()).await.is_none(), "a slot beyond the limit");
    }
    drop(slot);
    // All at once, so that it does not matter who is first.
    let mut waiters = waiters.into_iter().map(Some).collect::<Vec<_>>();
    std::future::poll_fn(|cx| {
        for place in &mut waiters {
            let Some(waiter) = place else { continue };
            if let std::task::Poll::Ready(done) = waiter.as_mut().poll(cx) {
                // Given back at once, for the next.
                drop(fine(done));
                *place = None;
            }
        }
        if waiters.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

async fn a_waiter_for_one_key_does_not_keep_others_waiting(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let dev = take(&*pool, &SlotKey::Dev).await;
    let mut waiter = pin!(pool.acquire(&SlotKey::Dev, "one who waits"));
    assert!(once(waiter.as_mut()).await.is_none());
    let _pm = take(&*pool, &SlotKey::Pm).await;
    let _issue = take(&*pool, &issue_slot(1)).await;
    assert_eq!(holders(&*pool, &SlotKey::Dev).await.len(), 1);
    drop(dev);
    fine(waiter.await);
}

async fn a_waiter_who_gives_up_loses_no_slot(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    for round in 0..30 {
        let slot = take(&*pool, &SlotKey::Dev).await;
        let mut gone = Box::pin(pool.acquire(&SlotKey::Dev, "one who gives up"));
        for _ in 0..round % 3 {
            assert!(once(gone.as_mut()).await.is_none(), "a slot beyond the limit");
            tokio::task::yield_now().await;
        }
        if round % 2 == 0 {
            // It gives up while it waits.
            drop(gone);
            drop(slot);
        } else {
            // It gives up when the slot may be its own already.
            drop(slot);
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            drop(gone);
        }
        // Who comes next gets the slot all the same, once whatever still goes on is over.
        drop(take(&*pool, &SlotKey::Dev).await);
    }
    // Nothing is left of those who gave up.
    let slot = take(&*pool, &SlotKey::Dev).await;
    assert_eq!(holders(&*pool, &SlotKey::Dev).await.len(), 1);
    drop(slot);
}

async fn holders_say_who_holds_what(f: &dyn SlotPoolFixture) {
    let (here, there) = (f.open(3).await, f.open(3).await);
    for key in [SlotKey::Dev, SlotKey::Pm, issue_slot(1)] {
        assert_eq!(holders(&*here, &key).await, []);
    }
    let mut held = vec![];
    for name in ["anna", "ben", "cleo"] {
        held.push((fine(here.acquire(&SlotKey::Dev, name).await), name));
    }
    let issue = fine(there.acquire(&issue_slot(1), "anna").await);
    held.remove(1);
    held.sort_by_key(|(slot, _)| slot.index());
    for pool in [&here, &there] {
        let found = holders(&**pool, &SlotKey::Dev).await;
        let said: Vec<_> = found.iter().map(|h| (h.index, h.holder.as_str())).collect();
        let wanted: Vec<_> = held.iter().map(|(slot, name)| (slot.index(), *name)).collect();
        assert_eq!(said, wanted);
        assert!(found.iter().all(|holder| holder.key == SlotKey::Dev), "{found:?}");
        let own = std::process::id();
        assert!(found.iter().all(|h| h.pid.is_none_or(|pid| pid == own)), "{found:?}");
        assert_eq!(holders(&**pool, &issue_slot(1)).await.len(), 1);
        assert_eq!(holders(&**pool, &issue_slot(2)).await, []);
    }
    drop((held, issue));
    for key in [SlotKey::Dev, issue_slot(1)] {
        assert_nobody_holds(&*there, &key).await;
    }
}

async fn a_holder_comes_back_as_it_was_named(f: &dyn SlotPoolFixture) {
    let pool = f.open(1).await;
    let long = "a long name ".repeat(1000);
    for name in HOSTILE.into_iter().chain([long.as_str(), "short"]) {
        let _slot = fine(pool.acquire(&SlotKey::Dev, name).await);
        let found = holders(&*f.open(1).await, &SlotKey::Dev).await;
        assert_eq!(found.iter().map(|h| h.holder.as_str()).collect::<Vec<_>>(), [name]);
    }
}

async fn without_a_place_nobody_waits(f: &dyn SlotPoolFixture) {
    let pool = f.open(0).await;
    assert_eq!(pool.limit(&SlotKey::Dev), 0);
    match pool.acquire(&SlotKey::Dev, "a test").await {
        Err(SlotError::NoPlace { key }) => assert_eq!(key, SlotKey::Dev),
        other => panic!("instead of `NoPlace` there was {other:?}"),
    }
    match pool.try_acquire(&SlotKey::Dev, "a test").await {
        Err(SlotError::NoPlace { key }) => assert_eq!(key, SlotKey::Dev),
        other => panic!("instead of `NoPlace` there was {other:?}"),
    }
    assert_eq!(holders(&*pool, &SlotKey::Dev).await, []);
    // The others have their places all the same.
    take(&*pool, &SlotKey::Pm).await;
    take(&*pool, &issue_slot(1)).await;
}

async fn a_slot_lives_as_long_as_a_process_that_has_inherited_it(f: &dyn SlotPoolFixture) {
    let (here, there) = (f.open(1).await, f.open(1).await);
    for key in [SlotKey::Dev, issue_slot(1)] {
        let slot = take(&*here, &key).await;
        let inherited = slot.file().map(|file| file.try_clone_to_owned());
        assert_eq!(inherited.is_some(), f.slots_are_files(), "whether there is a file");
        let Some(inherited) = inherited else { continue };
        let inherited = inherited.unwrap_or_else(|error| panic!("no second descriptor: {error}"));
        // It has the file as its standard error, writes nothing there and ends with its input.
        let child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(inherited)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cat does not start: {error}"));
        drop(slot);
        for pool in [&here, &there] {
            let second = try_take(&**pool, &key).await;
            if second.is_some() {
                end(&mut child);
                panic!("{key} is free, and a process that has inherited it is alive");
            }
        }
        let found = holders(&*there, &key).await;
        end(&mut child);
        assert_eq!(found.len(), 1, "nobody is said to hold it");
        take(&*there, &key).await;
    }
    if !f.slots_are_files() {
        not_applicable("a slot is no open file");
    }
}

fn end(child: &mut std::process::Child) {
    if let Some(mut input) = child.stdin.take() {
        let _ = input.flush();
    }
    let _ = child.wait();
}
