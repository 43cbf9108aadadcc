//! Agents that do not behave: each ends in an error that says so, and never in a hang.

use std::ffi::OsString;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentEvent, Conversation, RunRequest};
use kugetsu_core::{AgentRunner as _, Retry};

use crate::fixture::Fixture;

impl Fixture {
    /// Why a run does not start.
    async fn refusal(&self) -> AgentError {
        let request = RunRequest::new(self.worktree(), "MODEL: say x");
        match self.runner().start(request).await {
            Err(error) => error,
            Ok(run) => panic!("it started: {:?}", crate::fixture::read(run).await),
        }
    }

    /// Nothing of the agents is left, not even a record.
    fn assert_quiet(&self) {
        let trees = std::fs::read_dir(self.config.state.join("trees")).unwrap();
        let left: Vec<_> = trees.map(|tree| tree.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_missing_and_it_is_said_how_to_mend_it() {
    let cases: [(&[&str], &str); 4] = [
        (&["/nowhere/agent", "acp"], "/nowhere/agent cannot be used: there is no such file"),
        (&["no-such-acp-agent"], "no-such-acp-agent cannot be used: it is not on PATH"),
        (&["/dev/null"], "/dev/null cannot be used: it is not a program"),
        (&[], "acp:fake cannot be used: it has no command"),
    ];
    for (command, words) in cases {
        let fixture = Fixture::new().await.configured(|mut config| {
            config.command = command.iter().map(OsString::from).collect();
            config
        });
        for error in [fixture.refusal().await, fixture.runner().probe().await.unwrap_err()] {
            assert!(error.to_string().starts_with(words), "{error}");
            assert!(error.to_string().contains("correct the command of the agent acp:fake"));
            assert_eq!(error.retry(), Retry::Never);
        }
    }
}

#[tokio::test]
async fn an_agent_that_exits_at_once_is_told_with_its_last_words() {
    let fixture = Fixture::with(&["exits"]).await;
    for error in [fixture.refusal().await, fixture.runner().probe().await.unwrap_err()] {
        let told = error.to_string();
        assert!(matches!(error, AgentError::Died { .. }), "{error:?}");
        let program = std::env::current_exe().unwrap();
        for words in ["exit status: 3", "no credentials were found", program.to_str().unwrap()] {
            assert!(told.contains(words), "{told}");
        }
    }
    fixture.assert_quiet();
}

#[tokio::test]
async fn an_agent_that_never_says_what_it_can_is_given_up() {
    let fixture = Fixture::with(&["silent", "log"]).await.configured(|mut config| {
        config.limits.boot = Duration::from_secs(4);
        config
    });
    let told = fixture.refusal().await.to_string();
    for words in ["did not say within 4 s", "waiting for nobody"] {
        assert!(told.contains(words), "{told}");
    }
    fixture.assert_quiet();
}

#[tokio::test]
async fn an_agent_that_babbles_is_not_listened_to_for_ever() {
    let fixture = Fixture::with(&["babbles"]).await;
    let told = fixture.refusal().await.to_string();
    assert!(told.contains("what is no message, such as "), "{told}");
    fixture.assert_quiet();
}

#[tokio::test]
async fn a_few_lines_of_a_log_are_passed_over() {
    let fixture = Fixture::with(&["log"]).await;
    let told = fixture.turn("MODEL: tool garbage {} ;; say heard all the same").await;
    told.assert_done();
    assert_eq!(told.text(), "heard all the same");
}

#[tokio::test]
async fn another_version_of_the_protocol_is_not_spoken() {
    let fixture = Fixture::with(&["version-2"]).await;
    let error = fixture.refusal().await;
    let words = "does not speak version 1 of the Agent Client Protocol";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    fixture.assert_quiet();
}

#[tokio::test]
async fn an_agent_that_nobody_has_logged_in_says_so() {
    let fixture = Fixture::with(&["no-login"]).await;
    let error = fixture.refusal().await;
    assert!(error.to_string().contains("log in with its own program"), "{error}");
    assert_eq!(error.retry(), Retry::Never);
    fixture.assert_quiet();
}

#[tokio::test]
async fn an_agent_that_crashes_in_its_turn_can_be_resumed() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree();
    let told = fixture.run(RunRequest::new(&worktree, "MODEL: tool crash {}")).await;
    let error = told.error.as_ref().unwrap();
    assert!(matches!(error, AgentError::Died { .. }), "{told:?}");
    for words in ["acp:fake", "exit status: 9", "segmentation fault, as it were"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    let again = RunRequest::new(&worktree, "MODEL: history")
        .with_conversation(Conversation::Resume(told.session()));
    let again = fixture.run(again).await;
    again.assert_done();
    assert!(again.text().contains("users=2"), "{again:?}");
}

#[tokio::test]
async fn a_line_without_end_ends_the_run() {
    let fixture = Fixture::new().await.configured(|mut config| {
        config.limits.line = 100_000;
        config
    });
    let told = fixture.turn("MODEL: tool long {\"bytes\": 50000000}").await;
    let error = told.error.as_ref().unwrap().to_string();
    assert!(error.contains("it wrote a line of more than 100000 bytes"), "{told:?}");
    fixture.assert_quiet();
}

#[tokio::test]
async fn an_agent_that_asks_without_end_is_ended() {
    let fixture = Fixture::new().await;
    let told = fixture.turn("MODEL: tool pester {\"times\": 100} ;; say enough").await;
    told.assert_done();
    let told = fixture.turn("MODEL: tool pester {\"times\": 20000} ;; say enough").await;
    let error = told.error.as_ref().unwrap().to_string();
    assert!(error.contains("it has asked more than 10000 things"), "{told:?}");
    fixture.assert_quiet();
}

#[tokio::test]
async fn what_nobody_knows_is_kept_and_what_others_say_is_not_ours() {
    let fixture = Fixture::new().await;
    let told = fixture.turn("MODEL: tool strange {} ;; say mine").await;
    told.assert_done();
    let strange = told.events.iter().filter(|event| matches!(event, AgentEvent::Unknown(_)));
    let strange: Vec<_> = strange.map(|event| serde_json::to_string(event).unwrap()).collect();
    let expected = r#"{"type":"acp_dance","data":{"sessionUpdate":"dance","steps":3}}"#;
    assert_eq!(strange, [expected]);
    assert_eq!(told.text(), "mine");
}

#[tokio::test]
async fn what_is_not_offered_is_refused() {
    let fixture = Fixture::new().await;
    let methods = ["fs/read_text_file", "fs/write_text_file", "terminal/create", "x/y"];
    let calls: Vec<_> = methods
        .iter()
        .map(|method| {
            let params = r#"{"sessionId": "s", "path": "/etc/hostname", "command": "id"}"#;
            format!("MODEL: tool client {{\"method\": \"{method}\", \"params\": {params}}}")
        })
        .collect();
    let told = fixture.turn(&format!("{}\nMODEL: say done", calls.join("\n"))).await;
    told.assert_done();
    let refused = told.events.iter().filter(|event| match event {
        AgentEvent::ToolEnded { summary, .. } => summary.contains("-32601"),
        _ => false,
    });
    assert_eq!(refused.count(), methods.len(), "{told:?}");
}

#[tokio::test]
async fn how_a_turn_ended_is_told_as_the_agent_has_it() {
    let fixture = Fixture::new().await;
    let cases = [
        ("MODEL: finish length ;; say half", Retry::Later, "cut off at its greatest length"),
        ("MODEL: finish turns ;; say half", Retry::Later, "asked the model too often"),
        ("MODEL: finish content_filter ;; say no", Retry::Never, "refused to go on"),
        ("MODEL: finish strange ;; say half", Retry::Later, "strange"),
        ("MODEL: think alone", Retry::Later, "empty"),
        ("MODEL: http 503", Retry::Later, "scripted error 503"),
        ("MODEL: garbage", Retry::Later, "broke off"),
    ];
    for (script, advice, words) in cases {
        let told = fixture.turn(script).await;
        let failure = told.failure();
        assert_eq!(failure.retry, advice, "{script}: {failure:?}");
        assert!(failure.reason.contains(words), "{script}: {failure:?}");
    }
}
