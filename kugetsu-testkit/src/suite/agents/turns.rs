//! One turn of an agent.

use std::fs;
use std::time::Duration;

use kugetsu_core::{AgentError, AgentEvent, Cause, Finish, Retry, RunRequest};

use super::told::{Told, refusal, request, start, turn};
use super::{AgentRunnerFixture, Deed};
use crate::suite::promise::at_once;
use crate::suite::sample::{HOSTILE, short};

pub(super) async fn the_agent_could_run_now(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let info = match runner.probe().await {
        Ok(info) => info,
        Err(error) => panic!("the agent could not be asked: {error}"),
    };
    assert_eq!(info.trouble, None);
    assert!(!info.program.is_empty() && !info.version.is_empty(), "{info:?}");
    assert!(!runner.id().as_str().is_empty());
}

pub(super) async fn a_turn_begins_with_its_session_and_ends_with_one_finish(
    f: &dyn AgentRunnerFixture,
) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    // That the session comes first and one end comes last is checked of every turn.
    turn(&runner, request(f, &directory, &Deed::Say("one".into()))).await.assert_done();
    let write = Deed::Write { file: "two.txt".into(), text: "two".into() };
    turn(&runner, request(f, &directory, &write)).await.assert_done();
}

pub(super) async fn what_the_agent_says_arrives(f: &dyn AgentRunnerFixture) {
    let words = "Done: \"it's\" 100 % ready, see `a/b.txt` — 日本語 👩‍💻 & <tags>";
    let deed = Deed::Say(words.into());
    let told = turn(&f.runner().await, request(f, f.directory().await, &deed)).await;
    told.assert_done();
    assert_eq!(told.said().trim(), words);
}

pub(super) async fn the_agent_works_in_the_directory_it_was_given(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let (here, there) = (f.directory().await, f.directory().await);
    let deed = Deed::Write { file: "note.txt".into(), text: "it's here".into() };
    let told = turn(&runner, request(f, &here, &deed)).await;
    told.assert_done();
    assert!(!told.said().trim().is_empty(), "nothing was said: {:?}", told.events);
    let written = fs::read_to_string(here.join("note.txt"));
    assert_eq!(written.as_deref().ok(), Some("it's here\n"), "{written:?}");
    assert!(!there.join("note.txt").exists());

    // What it did can be followed.
    let calls = |wanted: fn(&AgentEvent) -> Option<&String>| -> Vec<&String> {
        told.events.iter().filter_map(wanted).collect()
    };
    let ended = calls(|event| match event {
        AgentEvent::ToolEnded { call, ok: true, .. } => Some(call),
        _ => None,
    });
    let started = calls(|event| match event {
        AgentEvent::ToolStarted { call, .. } => Some(call),
        _ => None,
    });
    assert_eq!(ended.len(), 1, "tools that came to a good end: {:?}", told.events);
    assert_eq!(started, ended, "{:?}", told.events);
}

pub(super) async fn a_message_reaches_the_agent_byte_for_byte(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    for text in HOSTILE.into_iter().filter(|text| !text.trim().is_empty()) {
        let told = turn(&runner, RunRequest::new(&directory, text).with_title("A promise")).await;
        told.assert_done();
        let heard = f.heard().await;
        assert!(heard.iter().any(|heard| heard == text), "{text:?} arrived as {:?}", heard.last());
    }
    assert!(!directory.join("pwned").exists(), "a part of a message was executed");
}

pub(super) async fn a_message_of_a_megabyte_reaches_the_agent(f: &dyn AgentRunnerFixture) {
    let line = "A line of the long message: it's \"quoted\", $(not run), é and 日本語.\n";
    let text = line.repeat((1 << 20) / line.len() + 1);
    let message = RunRequest::new(f.directory().await, text.clone()).with_title("A promise");
    turn(&f.runner().await, message).await.assert_done();
    let heard = f.heard().await;
    let sizes: Vec<usize> = heard.iter().map(String::len).collect();
    assert!(heard.contains(&text), "of {} bytes there arrived {sizes:?}", text.len());
}

pub(super) async fn a_message_that_cannot_be_sent_is_refused(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    for text in ["a\0b", "\0", "", " \n"] {
        let refused = refusal(&runner, RunRequest::new(&directory, text)).await;
        assert!(matches!(refused, AgentError::InvalidMessage { .. }), "{text:?}: {refused:?}");
        assert_eq!(refused.retry(), Retry::Never);
    }
    assert_eq!(f.heard().await, [""; 0]);
}

pub(super) async fn a_directory_that_cannot_be_worked_in_is_refused(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let missing = directory.join("missing");
    let file = directory.join("file.txt");
    if let Err(error) = fs::write(&file, "") {
        panic!("{} cannot be written: {error}", file.display());
    }
    for bad in ["relative".into(), missing.clone(), file.clone()] {
        let refused = refusal(&runner, request(f, &bad, &Deed::Say("one".into()))).await;
        assert!(!refused.retry().is_possible(), "{}: {refused:?}", bad.display());
    }
    assert!(!missing.exists(), "the directory was made");
    assert_eq!(f.heard().await, [""; 0]);
}

pub(super) async fn a_failure_for_good_is_told_as_such(f: &dyn AgentRunnerFixture) {
    let told = turn(&f.runner().await, request(f, f.directory().await, &Deed::Fail)).await;
    assert_eq!(told.retry(), Retry::Never, "{:?}", told.end);
}

pub(super) async fn a_rate_limit_is_told_as_one_of_its_provider(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let limits = [None, Some(Duration::from_secs(7))];
    let deeds = limits.map(|retry_after| Deed::BeRateLimited { retry_after });
    let turns = deeds.map(|deed| {
        let (runner, request) = (runner.clone(), request(f, &directory, &deed));
        async move { (deed, turn(&runner, request).await) }
    });
    for (deed, told) in at_once(turns).await {
        assert!(told.retry().is_possible(), "{deed:?}: {:?}", told.end);
        let Ok(Finish::Failed { failure }) = &told.end else { panic!("{deed:?}: {:?}", told.end) };
        assert!(matches!(failure.cause, Cause::Limit { .. }), "{deed:?}: {failure:?}");
    }
}

pub(super) async fn an_empty_turn_is_a_failure(f: &dyn AgentRunnerFixture) {
    let told = turn(&f.runner().await, request(f, f.directory().await, &Deed::Nothing)).await;
    assert_eq!(told.said().trim(), "");
    told.retry();
}

pub(super) async fn what_nobody_may_grant_is_refused_and_told(f: &dyn AgentRunnerFixture) {
    let told = turn(&f.runner().await, request(f, f.directory().await, &Deed::Ask)).await;
    // A rule may refuse it before anybody is asked; the tool then tells.
    let refused = |event: &AgentEvent| match event {
        AgentEvent::Asked { refused, text, .. } => *refused && !text.trim().is_empty(),
        AgentEvent::ToolEnded { ok, .. } => !ok,
        _ => false,
    };
    assert!(told.events.iter().any(refused), "nothing tells of a refusal: {:?}", told.events);
}

pub(super) async fn two_runs_at_once_do_not_mix(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let mut runs = vec![];
    for gate in ["left", "right"] {
        let request = request(f, f.directory().await, &Deed::WaitAt(gate.into()));
        runs.push((gate, start(&runner, request).await));
    }
    f.until_at_work(2).await;
    // The last to start is the first to go on.
    let mut all = vec![];
    for (gate, run) in runs.into_iter().rev() {
        f.open(gate).await;
        all.push((gate, Told::by(run).await));
    }
    for (gate, told) in &all {
        told.assert_done();
        assert_eq!(told.said().trim(), format!("past {gate}"));
    }
    assert_ne!(all[0].1.session, all[1].1.session);

    let writers = (0..4).map(async |number| {
        let deed = Deed::Write { file: format!("{number}.txt"), text: format!("{number}") };
        let directory = f.directory().await;
        (directory.clone(), request(f, directory, &deed))
    });
    let mut requests = vec![];
    for writer in writers {
        requests.push(writer.await);
    }
    let turns = requests.into_iter().map(|(directory, request)| {
        let runner = runner.clone();
        async move { (directory, turn(&runner, request).await) }
    });
    for (number, (directory, told)) in at_once(turns).await.into_iter().enumerate() {
        told.assert_done();
        for other in 0..4 {
            let there = directory.join(format!("{other}.txt")).exists();
            assert_eq!(there, number == other, "{other}.txt, {}", short(&told.events));
        }
    }
}
