//! What asks all the same, in spite of every rule, is refused and told.

use std::net::Ipv4Addr;
use std::time::Instant;

use kugetsu_core::agent::{AgentEvent, RunRequest};
use kugetsu_core::{AgentRunner as _, Retry};
use serde_json::json;

use crate::fixture::{Fixture, read};
use crate::server::servers;

/// Runs the script after a step that waits at a gate, and has the session ask about everything in
/// the steps that follow, as if opencode had another rule than those that it was given.
async fn run_asking(fixture: &Fixture, script: &str) -> Vec<AgentEvent> {
    let worktree = fixture.worktree("one");
    let script = format!("MODEL: gate asks ;; bash true\n{script}");
    let mut run = fixture.runner.start(RunRequest::new(&worktree, script)).await.unwrap();
    let first = tokio_stream::StreamExt::next(&mut run.events).await.unwrap().unwrap();
    let AgentEvent::SessionStarted { session } = &first else { panic!("{first:?}") };
    fixture.model.wait_for_in_flight(1).await;

    let server = servers(&fixture.state())[0];
    let read_proc = |file: &str| std::fs::read_to_string(format!("/proc/{server}/{file}")).unwrap();
    let port: u16 = read_proc("cmdline").split('\0').nth(5).unwrap().parse().unwrap();
    let environ = read_proc("environ");
    let password = environ
        .split('\0')
        .find_map(|entry| entry.strip_prefix("OPENCODE_SERVER_PASSWORD="))
        .unwrap();
    let rules = json!({ "permission": [{ "permission": "*", "pattern": "*", "action": "ask" }] });
    let answer = reqwest::Client::new()
        .patch(format!("http://{}:{port}/session/{session}", Ipv4Addr::LOCALHOST))
        .basic_auth("opencode", Some(password))
        .json(&rules)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());

    let opened = Instant::now();
    fixture.model.open("asks");
    let told = read(run).await;
    assert!(opened.elapsed().as_secs() < 30, "it waited for an answer");
    assert_eq!(told.failure().retry, Retry::Never, "{told:?}");
    told.events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_asked_for_is_refused_and_told() {
    let fixture = Fixture::new().await;
    let events = run_asking(&fixture, "MODEL: bash echo second\nMODEL: say after").await;
    let asked = events.iter().find_map(|event| match event {
        AgentEvent::Asked { text, refused, .. } => Some((text.as_str(), *refused)),
        _ => None,
    });
    let (text, refused) = asked.expect("nothing was asked");
    assert!(text.starts_with("permission bash: echo second"), "{text}");
    assert!(refused);
    // It is not asked again, and it is told once.
    let count = events.iter().filter(|event| matches!(event, AgentEvent::Asked { .. })).count();
    assert_eq!(count, 1, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_denies_does_not_end_the_turn() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let script = "MODEL: bash cat /etc/hostname\nMODEL: question which?\nMODEL: say went on";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    assert!(told.is_done(), "{told:?}");
    assert_eq!(told.text(), "went on");
    let failed =
        told.events.iter().filter(|event| matches!(event, AgentEvent::ToolEnded { ok: false, .. }));
    assert_eq!(failed.count(), 2, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_directory_for_temporary_files_may_be_used() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let script = "MODEL: bash echo kept > \"$TMPDIR/x\" && cat \"$TMPDIR/x\"\nMODEL: say used";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    assert!(told.is_done(), "{told:?}");
    let worked = told.events.iter().any(|event| {
        matches!(event, AgentEvent::ToolEnded { ok: true, summary, .. } if summary == "kept")
    });
    assert!(worked, "{told:?}");
}
