//! Limits that change, or that differ from process to process; and what the files are like.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kugetsu_core::{SlotError, SlotKey, SlotPool};

use super::{holders, issue, open, take, try_take};

#[tokio::test]
async fn a_raised_limit_lets_a_waiter_in() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let _first = take(&pool).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { take(&pool).await }
    });
    tokio::task::yield_now().await;
    pool.set_limit(&SlotKey::Dev, 2);
    assert_eq!(pool.limit(&SlotKey::Dev), 2);
    let second = waiter.await.unwrap();
    assert_eq!(holders(&pool).await.len(), 2);
    drop(second);
}

#[tokio::test]
async fn a_lowered_limit_takes_nothing_away_and_gives_nothing_more() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 4);
    let mut held = vec![];
    for _ in 0..4 {
        held.push(try_take(&pool).await.unwrap());
    }
    pool.set_limit(&SlotKey::Dev, 2);
    for left in [3, 2] {
        assert_eq!(holders(&pool).await.len(), left + 1);
        assert!(try_take(&pool).await.is_none(), "{left} are held besides");
        held.pop();
    }
    // Two are held, perhaps none of them below the limit.
    assert!(try_take(&pool).await.is_none());
    held.pop();
    let again = try_take(&pool).await.unwrap();
    assert!(again.index() < 2);
    assert!(try_take(&pool).await.is_none());
}

#[tokio::test]
async fn a_limit_of_zero_ends_the_wait() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let _held = take(&pool).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(&SlotKey::Dev, "one who waits in vain").await.map(drop) }
    });
    tokio::task::yield_now().await;
    pool.set_limit(&SlotKey::Dev, 0);
    assert!(matches!(waiter.await.unwrap(), Err(SlotError::NoPlace { key: SlotKey::Dev })));
}

#[tokio::test]
async fn who_has_a_smaller_limit_counts_what_others_hold_beyond_it() {
    let home = tempfile::tempdir().unwrap();
    let (large, small) = (open(home.path(), 6), open(home.path(), 2));
    // Whichever places chance gives to the one: the other must not bring the sum above its own two.
    for _ in 0..20 {
        let mut held = vec![];
        for _ in 0..2 {
            held.push(try_take(&large).await.unwrap());
        }
        assert!(try_take(&small).await.is_none(), "{held:?}");
        held.pop();
        let second = try_take(&small).await.unwrap();
        assert!(try_take(&small).await.is_none());
        // The larger limit still holds for whoever was given it.
        for _ in 0..4 {
            held.push(try_take(&large).await.unwrap());
        }
        assert!(try_take(&large).await.is_none());
        assert_eq!(holders(&small).await.len(), 6);
        drop((held, second));
    }
}

#[tokio::test]
async fn looking_who_holds_what_never_makes_a_free_slot_look_taken() {
    let home = tempfile::tempdir().unwrap();
    let (pool, other) = (open(home.path(), 1), open(home.path(), 1));
    let looker = tokio::spawn(async move {
        loop {
            holders(&other).await;
        }
    });
    for round in 0..5000 {
        let slot = try_take(&pool).await;
        assert!(slot.is_some(), "in round {round}");
        tokio::task::yield_now().await;
    }
    looker.abort();
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let slots = [take(&pool).await, pool.acquire(&issue(7), "a test").await.unwrap()];
    for key in [SlotKey::Dev, issue(7)] {
        // Whoever waits makes what is needed for waiting.
        let wait = pool.acquire(&key, "a test");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), wait).await.is_err());
    }
    let mut files = 0;
    let mut directories = vec![pool.directory().to_owned()];
    while let Some(directory) = directories.pop() {
        let mode = fs::metadata(&directory).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{}", directory.display());
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                continue;
            }
            files += 1;
            let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    }
    // Lock, turnstile and bell of both; extent and `awaited` of both classes, and the PM's bell.
    assert_eq!(files, 11);
    drop(slots);
}
