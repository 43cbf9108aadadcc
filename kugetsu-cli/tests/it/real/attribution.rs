//! Two starts at the same instant never get each other's session.

use std::fs;

use kugetsu_core::{Outcome, Request, SessionQuery, TaskState};
use kugetsu_queue::{Engine, Wait};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::house::{House, finish, issue, reference};

const ROUNDS: u64 = 50;

/// Starts the issue, and returns in which session its prompt arrived at the model.
async fn start(engine: Engine, number: u64) {
    let message = format!("MODEL: write who.txt {number}\nMODEL: say I am {number}");
    let request = Request::dev(reference(number), message);
    let task =
        engine.start(request, Wait::Forever, CancellationToken::new(), |_| {}).await.unwrap();
    let TaskState::Settled { outcome: Outcome::Completed { report }, .. } = &task.state else {
        panic!("{task:?}");
    };
    assert_eq!(report.answer, format!("I am {number}"));
    assert_eq!(report.branch, format!("fix/issue-{number}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_times_two_starts_at_the_same_instant_attribute_no_session_wrongly() {
    let house = House::new().await;
    let (engine, runner) = house.engine(2).await;
    for round in 0..ROUNDS {
        let mut both = JoinSet::new();
        for number in [2 * round + 1, 2 * round + 2] {
            both.spawn(start(engine.clone(), number));
        }
        while let Some(done) = both.join_next().await {
            done.unwrap();
        }
    }
    // Each record names the session in which the model heard that issue's message, and no other.
    let sessions = engine.sessions().find(&SessionQuery::all()).await.unwrap();
    let asked = house.model.requests();
    for number in 1..=2 * ROUNDS {
        let name = issue(number);
        let record = sessions.iter().find(|s| s.kind.to_string() == name).unwrap();
        let id = record.agent_session.as_ref().unwrap().as_str();
        let directory = record.directory.as_ref().unwrap();
        assert_eq!(
            fs::read_to_string(directory.join("who.txt")).unwrap().trim(),
            number.to_string()
        );
        let heard: Vec<_> = asked
            .iter()
            .filter(|request| request.prompt().contains(&format!("the issue {name}.")))
            .collect();
        assert!(!heard.is_empty());
        assert!(heard.iter().all(|r| r.session.as_deref() == Some(id)), "{number}: {heard:?}");
    }
    runner.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_the_same_instant_attribute_no_session_wrongly() {
    let house = House::new().await;
    for round in 0..3 {
        let mut both = JoinSet::new();
        for number in [2 * round + 1, 2 * round + 2] {
            let script = format!("MODEL: write who.txt {number}\nMODEL: say I am {number}");
            let child = house.kugetsu(&["start", "--json", &issue(number), &script]).spawn();
            let child = child.unwrap();
            both.spawn(async move { (number, finish(child).await) });
        }
        while let Some(done) = both.join_next().await {
            let (number, ran) = done.unwrap();
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_eq!(ran.answer(), format!("I am {number}"));
            let who = fs::read_to_string(ran.worktree().join("who.txt")).unwrap();
            assert_eq!(who.trim(), number.to_string());
            let exported = house.opencode(&["export", &ran.session()]).await;
            assert_eq!(exported["info"]["directory"].as_str(), ran.worktree().to_str());
        }
    }
}
