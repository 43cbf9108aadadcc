//! The circuit breaker: a queue rests when attempt after attempt fails, and one tries again.

use std::time::Duration;

use kugetsu_core::{
    AttemptEnd, Backoff, Clock, Cursor, Event, EventLog, Failure, Happening, Notice, NoticeKind,
    Task,
};
use kugetsu_queue::{Circuit, Engine, Hold, HoldKind};

use super::{Site, drained, enqueue, serve, settled, until};

const SOON: Duration = Duration::from_secs(1);

/// A site whose engine breaks the circuit after three failures, and waits little between attempts.
async fn site() -> Site {
    let mut site = Site::new().await;
    site.engine = breaking(site.engine);
    site
}

fn breaking(engine: Engine) -> Engine {
    let circuit = Circuit::default().with_failures(3);
    engine.with_circuit(Some(circuit)).with_backoff(Backoff::new(SOON, SOON))
}

async fn circuit(engine: &Engine) -> Option<Hold> {
    let holds = engine.holds().active().await.unwrap();
    holds.into_iter().find(|hold| hold.kind == HoldKind::Circuit)
}

/// How long the queue rests, once it does.
async fn rests(site: &Site) -> Duration {
    loop {
        if let Some(hold) = circuit(&site.engine).await
            && !hold.reason.contains("tries")
        {
            return hold.until.unwrap().wait(site.clock.moment());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn fail(site: &Site, times: usize) {
    for _ in 0..times {
        site.agent.fail_next(Failure::passing("the provider is down"));
    }
}

async fn told(engine: &Engine) -> Vec<Event> {
    let events = engine.events().read(Cursor(0), 10_000).await.unwrap();
    let held = events.into_iter().map(|(_, event)| event);
    held.filter(|event| matches!(event.what, Happening::QueueHeld { .. })).collect()
}

fn failed(task: &Task) -> usize {
    let ends = task.attempts.iter().map(|attempt| &attempt.end);
    ends.filter(|end| matches!(end, AttemptEnd::Failed { .. })).count()
}

#[tokio::test]
async fn after_several_failures_the_queue_rests_one_tries_and_a_success_has_it_go_on() {
    let site = site().await;
    fail(&site, 4);
    let mut tasks = Vec::new();
    for number in 1..=6 {
        tasks.push(site.enqueue(number, "MODEL: say done").await);
    }
    let serving = serve(&site.engine);
    let rest = site.passing(rests(&site)).await;
    assert!(rest <= Duration::from_secs(30) && rest > Duration::from_secs(25), "{rest:?}");
    let hold = circuit(&site.engine).await.unwrap();
    assert!(hold.reason.contains("3 attempts in a row failed"), "{hold:?}");
    assert!(hold.reason.contains("the provider is down"), "{hold:?}");
    // Two may have been at work together when the last failure came in.
    let before = site.agent.runs().len();
    assert!(before <= 4, "{before}");
    site.clock.until_asleep(2).await;
    site.clock.advance(rest.saturating_sub(Duration::from_secs(1)));
    site.clock.until_asleep(2).await;
    assert_eq!(site.agent.runs().len(), before, "nothing begins before its time");

    if before == 3 {
        // The one that tries fails, and the queue rests for twice as long.
        site.clock.advance(Duration::from_secs(1));
        site.agent.until_started(4).await;
        let rest = rests(&site).await;
        assert_eq!(rest, Duration::from_mins(1));
        assert_eq!(site.agent.runs().len(), 4, "one alone tries");
    }
    for task in tasks {
        let task = site.passing(settled(&site.engine, task.id)).await;
        assert!(failed(&task) < 3, "{task:?}");
    }
    assert!(circuit(&site.engine).await.is_none());
    let told = told(&site.engine).await;
    assert!(!told.is_empty());
    let notice = Notice::of(&told[0], Cursor(1)).unwrap();
    assert_eq!(notice.kind, NoticeKind::QueueHeld);
    assert!(notice.text.contains("attempts in a row failed"), "{notice:?}");
    drained(serving).await;
}

#[tokio::test]
async fn a_circuit_outlives_its_process_is_shared_and_is_closed_by_hand() {
    let site = site().await;
    fail(&site, 3);
    for number in 1..=3 {
        site.enqueue(number, "MODEL: say done").await;
    }
    let serving = serve(&site.engine);
    site.passing(rests(&site)).await;
    drained(serving).await;
    let runs = site.agent.runs().len();
    // Another process over the same store and memos.
    let memos = site.backends.memos.clone();
    let other = breaking(site.engine_with(memos));
    let task = enqueue(&other, 9, "MODEL: say done").await;
    let serving = serve(&other);
    site.clock.until_asleep(2).await;
    assert_eq!(site.agent.runs().len(), runs);
    assert!(other.holds().resume().await.unwrap(), "it rested");
    assert!(!other.holds().resume().await.unwrap());
    site.passing(settled(&other, task.id)).await;
    drained(serving).await;
}

#[tokio::test]
async fn one_task_alone_and_what_is_a_tasks_own_fault_open_no_circuit() {
    let site = site().await;
    fail(&site, 3);
    let task = site.enqueue(1, "MODEL: say done").await;
    let serving = serve(&site.engine);
    let task = site.passing(settled(&site.engine, task.id)).await;
    assert_eq!(failed(&task), 3);
    assert!(circuit(&site.engine).await.is_none());
    // A success forgets them.
    let well = site.enqueue(2, "MODEL: say done").await;
    settled(&site.engine, well.id).await;
    for number in 3..=6 {
        site.agent.fail_next(Failure::fatal("no such thing"));
        let task = site.enqueue(number, "MODEL: say done").await;
        settled(&site.engine, task.id).await;
    }
    fail(&site, 2);
    let last = [site.enqueue(7, "MODEL: say done").await, site.enqueue(8, "MODEL: say done").await];
    for task in last {
        site.passing(until(&site.engine, task.id, Task::is_settled)).await;
    }
    assert!(circuit(&site.engine).await.is_none());
    assert_eq!(told(&site.engine).await, []);
    drained(serving).await;
}

#[tokio::test]
async fn what_was_to_try_and_says_nothing_lets_the_next_one_try_at_once() {
    let site = site().await;
    fail(&site, 3);
    for number in 1..=3 {
        site.enqueue(number, "MODEL: say done").await;
    }
    let serving = serve(&site.engine);
    site.passing(rests(&site)).await;
    site.agent.fail_next(Failure::fatal("its own fault"));
    let last = site.enqueue(9, "MODEL: say done").await;
    let last = site.passing(settled(&site.engine, last.id)).await;
    assert!(last.attempts.len() <= 2, "{last:?}");
    site.passing(async {
        while circuit(&site.engine).await.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    drained(serving).await;
}
