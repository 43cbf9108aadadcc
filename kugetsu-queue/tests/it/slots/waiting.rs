//! Waiting, and giving up.

use std::time::Duration;

use tokio::time::timeout;

use super::{holders, open, take, try_take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_up_waiting_leaves_nothing_held() {
    let home = tempfile::tempdir().unwrap();
    let (pool, other) = (open(home.path(), 1), open(home.path(), 1));
    // Gives up at every stage: in line behind the other pool's waiter, at the head, and just as the
    // slot comes.
    for micros in (0..100).map(|step| step * 40) {
        let slot = take(&pool).await;
        let patience = Duration::from_micros(micros);
        let waiting = |pool: &kugetsu_queue::FileSlots| {
            let pool = pool.clone();
            tokio::spawn(async move { timeout(patience, take(&pool)).await.map(drop) })
        };
        let waiters = [waiting(&pool), waiting(&other), waiting(&pool), waiting(&other)];
        if micros % 3 == 0 {
            tokio::task::yield_now().await;
            drop(slot);
        }
        for waiter in waiters {
            let _ = waiter.await.unwrap();
        }
    }
    // Nobody stands in the way: neither in the slot nor at the turnstile.
    assert!(holders(&other).await.is_empty());
    let slot = try_take(&other).await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { take(&pool).await }
    });
    tokio::task::yield_now().await;
    drop(slot);
    waiter.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_one_process_are_served_in_the_order_in_which_they_came() {
    let home = tempfile::tempdir().unwrap();
    let pool = open(home.path(), 1);
    let slot = take(&pool).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut waiters = vec![];
    for number in 0..20 {
        let (pool, tell) = (pool.clone(), tell.clone());
        let mut waiting = Box::pin(async move {
            let slot = take(&pool).await;
            tell.send(number).unwrap();
            drop(slot);
        });
        // Once polled, it stands in line.
        assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
        waiters.push(tokio::spawn(waiting));
    }
    drop(slot);
    for waiter in waiters {
        waiter.await.unwrap();
    }
    drop(tell);
    let mut order = vec![];
    while let Some(number) = told.recv().await {
        order.push(number);
    }
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}
