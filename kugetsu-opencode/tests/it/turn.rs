//! Turns, by both engines.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kugetsu_core::agent::{AgentEvent, Conversation, Finish, RunRequest, Stop};
use kugetsu_core::{AgentRunner as _, Cause, Retry};
use kugetsu_opencode::Engine;
use kugetsu_testkit::sandbox::opencode_program;
use tokio_stream::StreamExt as _;

use crate::fixture::{Fixture, read, until};
use crate::server::is_anyone_asleep_in;

/// Each promise is kept by both engines.
macro_rules! promises {
    ($($promise:ident),* $(,)?) => {
        mod through_a_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() { super::$promise(super::Engine::Server).await })*
        }
        mod by_a_process_each {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() { super::$promise(super::Engine::Run).await })*
        }
    };
}

promises! {
    an_agent_works_in_its_worktree_and_says_what_it_did,
    what_the_model_refuses_is_a_failure_with_advice,
    a_provider_that_recovers_is_no_failure,
    a_provider_that_takes_no_more_ends_the_turn_at_once_as_a_limit,
    a_short_limit_is_sat_out,
    a_stopped_run_has_stopped_and_can_be_continued,
    what_a_finished_run_left_running_is_ended,
}

async fn an_agent_works_in_its_worktree_and_says_what_it_did(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let worktree = fixture.worktree("one");
    let told = fixture
        .run(RunRequest::new(
            &worktree,
            "MODEL: write a.txt hello\nMODEL: commit add a\nMODEL: usage 10 20 ;; say one\\ntwo",
        ))
        .await;
    assert!(told.is_done(), "{told:?}");
    assert_eq!(told.text(), "one\ntwo");
    assert_eq!(std::fs::read_to_string(worktree.join("a.txt")).unwrap(), "hello\n");
    assert_eq!(fixture.repository.subjects("one").unwrap()[0], "add a");
    let tools =
        told.events.iter().filter(|event| matches!(event, AgentEvent::ToolEnded { ok: true, .. }));
    assert_eq!(tools.count(), 2, "{told:?}");
    let usage: u64 = told
        .events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Usage(usage) => Some(usage.output),
            _ => None,
        })
        .sum();
    assert!(usage >= 20, "{told:?}");
}

async fn what_the_model_refuses_is_a_failure_with_advice(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let cases = [
        ("MODEL: http 401", Retry::Never, "401"),
        ("MODEL: http 400", Retry::Never, "400"),
        ("MODEL: finish length ;; say half", Retry::Later, "cut off"),
        ("MODEL: think alone", Retry::Later, "empty"),
        ("MODEL: garbage", Retry::Later, "JSON"),
    ];
    for (index, (script, advice, words)) in cases.into_iter().enumerate() {
        let worktree = fixture.worktree(&format!("w{index}"));
        let told = fixture.run(RunRequest::new(&worktree, script)).await;
        let failure = told.failure();
        assert_eq!(failure.retry, advice, "{script}: {failure:?}");
        assert!(failure.reason.contains(words), "{script}: {failure:?}");
    }
}

async fn a_provider_that_recovers_is_no_failure(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let worktree = fixture.worktree("one");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: http 500 1\nMODEL: say there")).await;
    assert!(told.is_done(), "{told:?}");
    let waited = told.events.iter().any(|event| matches!(event, AgentEvent::Waiting { .. }));
    assert!(waited, "{told:?}");
}

/// A process of its own tells nothing of how long the provider asks it to wait.
async fn a_provider_that_takes_no_more_ends_the_turn_at_once_as_a_limit(engine: Engine) {
    let fixture = Fixture::with(|config| {
        let mut limits = config.limits.clone();
        limits.provider_patience = Duration::from_secs(2);
        config.with_engine(engine).with_limits(limits)
    })
    .await;
    let worktree = fixture.worktree("one");
    let told = fixture
        .run(RunRequest::new(
            &worktree,
            "MODEL: write a.txt a\nMODEL: http 429 1 3600\nMODEL: say there",
        ))
        .await;
    let failure = told.failure();
    assert_eq!(failure.cause, Cause::Limit { provider: "scripted".into() }, "{told:?}");
    assert!(failure.reason.contains("scripted error 429"), "{failure}");
    let wait = failure.retry.wait().as_secs();
    let expected = if engine == Engine::Server { 3500..=3600 } else { 60..=60 };
    assert!(expected.contains(&wait), "{failure:?}");
    // The same session goes on where the limit has stopped it.
    let again = RunRequest::new(&worktree, "MODEL: history")
        .with_conversation(Conversation::Resume(told.session()));
    let again = fixture.run(again).await;
    assert!(again.text().contains("users=2"), "{again:?}");
    assert!(again.text().contains("tools=1"), "{again:?}");
}

async fn a_short_limit_is_sat_out(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let worktree = fixture.worktree("one");
    let script = "MODEL: http 429 1 1\nMODEL: say there";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    assert!(told.is_done(), "{told:?}");
    assert_eq!(told.text(), "there");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_done_and_whose_process_does_not_end_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("opencode");
    let lingers = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\ncase $1 in run) exec sleep 1000 ;; esac\n",
        opencode_program().display()
    );
    std::fs::write(&program, lingers).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let fixture =
        Fixture::with(|config| config.with_engine(Engine::Run).with_program(program)).await;
    let worktree = fixture.worktree("one");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: say there")).await;
    assert!(told.is_done(), "{told:?}");
    assert_eq!(told.text(), "there");
    assert!(!is_anyone_asleep_in(&worktree));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_providers_server_is_no_limit() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: http 503 1 3600")).await;
    let failure = told.failure();
    assert_eq!(failure.cause, Cause::Attempt, "{told:?}");
    assert!(failure.retry.wait() > Duration::from_secs(3500), "{failure:?}");
}

async fn a_stopped_run_has_stopped_and_can_be_continued(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let worktree = fixture.worktree("one");
    for (script, how) in
        [("MODEL: bash setsid sleep 1000 & sleep 1000", Stop::Politely), ("MODEL: hang", Stop::Now)]
    {
        let mut run = fixture.runner.start(RunRequest::new(&worktree, script)).await.unwrap();
        let mut session = None;
        if script.contains("bash") {
            if let Some(Ok(AgentEvent::SessionStarted { session: id })) = run.events.next().await {
                session = Some(id);
            }
            // A process of its own tells of a tool only when that has ended.
            until(|| is_anyone_asleep_in(&worktree)).await;
        } else {
            fixture.model.wait_for_in_flight(1).await;
        }
        run.control.stop(how).await.unwrap();
        assert!(!is_anyone_asleep_in(&worktree));
        let told = read(run).await;
        assert_eq!(*told.finish(), Finish::Stopped, "{told:?}");
        let Some(session) = session else { continue };
        let request = RunRequest::new(&worktree, "MODEL: history")
            .with_conversation(Conversation::Resume(session));
        let again = fixture.run(request).await;
        assert!(again.text().contains("users=2"), "{again:?}");
    }
}

async fn what_a_finished_run_left_running_is_ended(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let worktree = fixture.worktree("one");
    let script = "MODEL: bash (setsid sleep 1000 >/dev/null 2>&1 &)\nMODEL: say left";
    let told = fixture.run(RunRequest::new(&worktree, script)).await;
    assert!(told.is_done(), "{told:?}");
    assert!(!is_anyone_asleep_in(&worktree));
}
