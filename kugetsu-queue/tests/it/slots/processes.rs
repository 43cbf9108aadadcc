//! Several processes, some of which are killed or stopped.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kugetsu_core::Timestamp;
use rustix::fs::{CWD, Mode, mkfifoat};

use super::{holders, open, take, try_take};
use crate::process::Other;

fn holder(home: &Path, limit: u32) -> Other {
    let mut other = Other::start("holder", home);
    other.tell(&limit.to_string());
    other
}

/// Makes a FIFO from which heirs read, and returns what keeps them alive.
fn heirs_live(home: &Path) -> File {
    let fifo = home.join("heir-lives");
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    OpenOptions::new().read(true).write(true).open(&fifo).unwrap()
}

#[test]
fn six_processes_at_once_never_hold_more_than_three() {
    let home = tempfile::tempdir().unwrap();
    let mut crowds: Vec<_> = (0..6).map(|_| Other::start("crowd", home.path())).collect();
    for crowd in &mut crowds {
        crowd.tell("10");
    }
    for mut crowd in crowds {
        let mut rounds = 0;
        loop {
            match crowd.hear().as_deref() {
                Some("round") => rounds += 1,
                said => break assert_eq!(said, Some("done"), "after {rounds} rounds"),
            }
        }
        assert_eq!(rounds, 160);
        crowd.end();
    }
}

#[test]
fn processes_that_are_killed_or_stopped_change_no_limit() {
    let home = tempfile::tempdir().unwrap();
    let mut last = Other::start("crowd", home.path());
    last.tell("20");
    // Some die and some freeze while the others go on, wherever they just are.
    for round in 0..20 {
        let mut victim = Other::start("crowd", home.path());
        victim.tell("1000");
        for _ in 0..round {
            victim.hear().unwrap();
        }
        if round % 4 == 0 {
            victim.stop();
            last.hear().unwrap();
        }
        victim.kill();
    }
    while let Some(said) = last.hear() {
        if said == "done" {
            return last.end();
        }
    }
    panic!("the one that was left alone did not come to its end");
}

#[tokio::test]
async fn the_slot_of_a_killed_process_goes_to_whoever_waits() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let mut other = holder(home.path(), 1);
        assert_eq!(other.ask("try"), "slot 0");
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { take(&pool).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(holders(&pool).await[0].pid, Some(other.pid()));
        let killed = Instant::now();
        other.kill();
        waiter.await.unwrap();
        fastest = fastest.min(killed.elapsed());
    }
    // Told by the kernel: whoever only looks from time to time would need a second.
    assert!(fastest < Duration::from_millis(500), "{fastest:?}");
}

#[tokio::test]
async fn a_stopped_process_keeps_its_slot() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let mut other = holder(home.path(), 1);
    assert_eq!(other.ask("try"), "slot 0");
    other.stop();
    assert!(try_take(&pool).await.is_none());
    assert_eq!(holders(&pool).await.len(), 1);
    other.go_on();
    assert_eq!(other.ask("release"), "none");
    assert!(try_take(&pool).await.is_some());
}

#[tokio::test]
async fn a_stopped_waiter_does_not_stop_those_behind_it() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let slot = take(&pool).await;
    let mut other = holder(home.path(), 1);
    other.tell("wait");
    assert_eq!(other.hear().unwrap(), "waiting");
    let turnstile = home.path().join("slots/dev/turnstile.lock");
    while !turnstile.exists() || File::open(&turnstile).unwrap().try_lock().is_ok() {
        thread::yield_now();
    }
    other.stop();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { take(&pool).await }
    });
    tokio::task::yield_now().await;
    drop(slot);
    drop(waiter.await.unwrap());
    other.go_on();
    assert_eq!(other.hear().unwrap(), "slot 0");
}

#[tokio::test]
async fn an_heir_keeps_the_slot_of_a_killed_process() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let life = heirs_live(home.path());
    let before = now();
    let mut other = holder(home.path(), 1);
    assert_eq!(other.ask("try"), "slot 0");
    assert_eq!(other.ask("bequeath"), "slot 0");
    let alive = &holders(&pool).await[0];
    assert_eq!((alive.pid, alive.holder.as_str()), (Some(other.pid()), "one who tries"));
    let since = alive.since.unwrap();
    assert!(since.plus(Duration::from_millis(20)) >= before && since <= now(), "{since:?}");

    let pid = other.pid();
    other.kill();
    assert!(try_take(&pool).await.is_none(), "what it started is alive");
    let left = &holders(&pool).await[0];
    assert_eq!((left.pid, left.since), (Some(pid), Some(since)));
    let words =
        format!("one who tries (process {pid} is gone, and what it started is still alive)");
    assert_eq!(left.holder, words);

    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { take(&pool).await }
    });
    tokio::task::yield_now().await;
    drop(life);
    // Nobody tells of the end of an heir, so that this is the look from time to time.
    drop(waiter.await.unwrap());
    assert!(holders(&pool).await.is_empty());
}

#[tokio::test]
async fn an_heir_keeps_the_slot_that_its_parent_gave_back() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let life = heirs_live(home.path());
    let mut other = holder(home.path(), 1);
    assert_eq!(other.ask("try"), "slot 0");
    other.ask("bequeath");
    assert_eq!(other.ask("release"), "none");
    assert_eq!(other.ask("try"), "none");
    assert!(try_take(&pool).await.is_none());
    drop(life);
    assert_eq!(other.ask("wait"), "waiting");
    assert_eq!(other.hear().unwrap(), "slot 0");
}

#[test]
fn slots_that_are_given_back_leave_no_file_open() {
    let home = tempfile::tempdir().unwrap();
    let mut other = Other::start("passer-by", home.path());
    let said = other.hear().unwrap();
    let (before, after) = said.split_once(' ').unwrap();
    assert_eq!(before, after);
    other.end();
}

#[tokio::test]
async fn a_waiter_wakes_when_another_process_gives_its_slot_back() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let mut other = holder(home.path(), 1);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        assert_eq!(other.ask("wait"), "waiting");
        assert_eq!(other.hear().unwrap(), "slot 0");
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { take(&pool).await }
        });
        tokio::task::yield_now().await;
        let released = Instant::now();
        other.tell("release");
        drop(waiter.await.unwrap());
        fastest = fastest.min(released.elapsed());
        assert_eq!(other.hear().unwrap(), "none");
    }
    assert!(fastest < Duration::from_millis(500), "{fastest:?}");
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}
