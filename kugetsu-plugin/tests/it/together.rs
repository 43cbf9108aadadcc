//! Many requests, requests that are given up, and ends.

use std::sync::Arc;

use kugetsu_core::WorktreeProvider as _;

use crate::fake::{fake, gone, until};

#[tokio::test]
async fn many_requests_at_once_are_all_answered() {
    let fake = Arc::new(fake("is well"));
    let tasks: Vec<_> = (0..300)
        .map(|_| {
            let fake = Arc::clone(&fake);
            tokio::spawn(async move { fake.list().await.map(|listed| listed.len()) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(2));
    }
    assert_eq!(fake.noted("starts"), "x");
}

#[tokio::test]
async fn answers_may_come_in_any_order() {
    let fake = Arc::new(fake("answers backwards"));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let fake = Arc::clone(&fake);
            tokio::spawn(async move { fake.list().await.unwrap()[0].issue.number() })
        })
        .collect();
    let mut answered = vec![];
    for task in tasks {
        answered.push(task.await.unwrap());
    }
    answered.sort_unstable();
    assert_eq!(answered, [2, 3, 4, 5, 6, 7, 8, 9], "each has its own");
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_is_cancelled_and_harms_no_other() {
    let fake = Arc::new(fake("is silent"));
    let waiting = tokio::spawn({
        let fake = Arc::clone(&fake);
        async move { fake.list().await }
    });
    until(|| fake.file("asked").exists()).await;
    waiting.abort();
    until(|| fake.file("cancelled").exists()).await;
    assert_eq!(fake.noted("cancelled"), fake.noted("asked"));
    // The answer that came all the same is nobody's.
    assert_eq!(fake.list().await.unwrap().len(), 2);
    assert_eq!(fake.noted("starts"), "x");
}

#[tokio::test]
async fn a_plugin_that_is_not_needed_any_more_is_told_and_gone() {
    for (deed, told) in [("is well", "x"), ("cannot say goodbye", "")] {
        let fake = fake(deed);
        // Nobody is started to be ended.
        fake.plugin().shut_down().await;
        assert!(!fake.file("pid").exists());
        fake.list().await.unwrap();
        let pid = fake.noted("pid");
        fake.plugin().shut_down().await;
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{deed}");
        assert_eq!(fake.noted("goodbye"), told);
        fake.list().await.unwrap();
        assert_eq!(fake.noted("starts"), "xx");
    }
}

#[tokio::test]
async fn whatever_a_plugin_has_started_ends_with_it() {
    // Once it is asked to end, and once nobody says a word.
    for politely in [true, false] {
        let fake = fake("has children");
        fake.list().await.unwrap();
        let child = fake.noted("child").trim().to_owned();
        if politely {
            fake.plugin().shut_down().await;
        }
        drop(fake);
        gone(&child).await;
    }
}

#[tokio::test]
async fn a_plugin_that_is_dropped_ends() {
    let fake = fake("is well");
    fake.list().await.unwrap();
    let pid = fake.noted("pid");
    let crate::fake::Fake { worktrees, tracker, home: _home } = fake;
    drop(tracker);
    assert_eq!(worktrees.list().await.unwrap().len(), 2);
    drop(worktrees);
    gone(&pid).await;
}
