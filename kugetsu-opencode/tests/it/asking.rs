//! What asks all the same, in spite of every rule, is refused and told.

use std::time::{Duration, Instant};

use kugetsu_core::agent::{AgentEvent, RunRequest};
use kugetsu_core::{AgentRunner as _, Retry};
use kugetsu_opencode::Rule;
use tokio_stream::StreamExt as _;

use crate::fixture::{Fixture, read};

/// Sub-agents get what their session denies, but not what it allows, so that the user's *ask* holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sub_agent_asks_is_decided_by_its_agents_rules() {
    let fixture = Fixture::with(|config| {
        let environment = config.environment.clone();
        let mut rules = config.rules.clone();
        rules.dev.push(Rule::deny("bash", "echo secret*"));
        config.with_rules(rules).with_environment(
            environment.with("OPENCODE_CONFIG_CONTENT", r#"{"permission":{"bash":"ask"}}"#),
        )
    })
    .await;
    let worktree = fixture.worktree("one");
    let task = serde_json::json!({
        "description": "a sub-agent", "subagent_type": "general",
        "prompt": "MODEL: bash echo hello > below ;;; bash echo secret > secret ;;; say below",
    });
    let script =
        format!("MODEL: bash echo hello > above\nMODEL: tool task {task}\nMODEL: say after");
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    let exists = ["above", "below", "secret"].map(|file| worktree.join(file).exists());
    assert_eq!(exists, [true, true, false], "{told:?}");
    // Nobody had to be told, and its agent went on.
    assert!(!told.events.iter().any(|event| matches!(event, AgentEvent::Asked { .. })), "{told:?}");
    assert!(told.is_done(), "{told:?}");
    assert_eq!(told.text(), "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_refused_and_told_and_ends_the_turn() {
    let fixture = Fixture::with(|config| {
        let mut rules = config.rules.clone();
        rules.dev.push(Rule::allow("question", "*"));
        config.with_rules(rules)
    })
    .await;
    let worktree = fixture.worktree("one");
    let request = RunRequest::new(&worktree, "MODEL: question which?\nMODEL: say x");
    let mut run = fixture.runner.start(request).await.unwrap();
    // The model has asked when its answer is out.
    fixture.model.wait_for_ended(1).await;
    let question = Instant::now();
    let mut events = Vec::new();
    while !matches!(events.last(), Some(AgentEvent::Asked { .. })) {
        events.push(run.events.next().await.unwrap().unwrap());
    }
    assert!(question.elapsed() < Duration::from_secs(5), "{:?}", question.elapsed());
    let mut told = read(run).await;
    told.events.splice(..0, events);
    let asked: Vec<_> = told
        .events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Asked { text, refused, .. } => Some((text.as_str(), *refused)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [("question: which?", true)], "{told:?}");
    assert_eq!(told.failure().retry, Retry::Never);
    assert!(told.failure().reason.contains("which?"), "{told:?}");
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
