//! What an agent remembers, and of what.

use std::collections::BTreeSet;
use std::sync::Arc;

use kugetsu_core::{AgentError, AgentRunner, AgentSessionId, Conversation};

use super::told::{Told, can, has_to_be_able, refusal, request, turn};
use super::{AgentRunnerFixture, Deed};
use crate::suite::promise::{at_once, not_applicable};
use crate::suite::sample::named;

/// A turn in which the agent is told a word.
pub(super) async fn taught(
    f: &dyn AgentRunnerFixture,
    runner: &Arc<dyn AgentRunner>,
    directory: &std::path::Path,
    word: &str,
    conversation: Conversation,
) -> Told {
    let request = request(f, directory, &Deed::Say(word.into())).with_conversation(conversation);
    let told = turn(runner, request).await;
    told.assert_done();
    told
}

/// A turn in which the agent says what it remembers.
pub(super) async fn recalled(
    f: &dyn AgentRunnerFixture,
    runner: &Arc<dyn AgentRunner>,
    directory: &std::path::Path,
    conversation: Conversation,
) -> Told {
    let request = request(f, directory, &Deed::Recall).with_conversation(conversation);
    let told = turn(runner, request).await;
    told.assert_done();
    told
}

#[track_caller]
pub(super) fn assert_knows(told: &Told, known: &[&str], unknown: &[&str]) {
    let said = told.said();
    for word in known {
        assert!(said.contains(word), "{word:?} is not in what it recalls: {said:?}");
    }
    for word in unknown {
        assert!(!said.contains(word), "{word:?} is in what it recalls: {said:?}");
    }
}

/// The id of a session that no agent has.
pub(super) fn nowhere() -> AgentSessionId {
    named(AgentSessionId::new("ses_0000000000000000000000nowhere"))
}

pub(super) async fn a_fresh_conversation_knows_nothing(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let first = taught(f, &runner, &directory, "marmalade", Conversation::Fresh).await;
    let second = recalled(f, &runner, &directory, Conversation::Fresh).await;
    assert_knows(&second, &[], &["marmalade"]);
    assert_ne!(first.session, second.session);
}

pub(super) async fn a_session_that_is_resumed_remembers(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let first = taught(f, &runner, &directory, "marmalade", Conversation::Fresh).await;
    let resume = request(f, &directory, &Deed::Recall).with_conversation(first.resumed());
    has_to_be_able(&runner, "resume", runner.capabilities().resume, resume).await;
    let second = taught(f, &runner, &directory, "piccolo", first.resumed()).await;
    let third = recalled(f, &runner, &directory, first.resumed()).await;
    assert_knows(&third, &["marmalade", "piccolo"], &[]);
    assert_eq!([&second.session, &third.session], [&first.session; 2]);
}

pub(super) async fn a_session_is_resumed_after_reopening(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let directory = f.directory().await;
    let first = taught(f, &runner, &directory, "marmalade", Conversation::Fresh).await;
    drop(runner);
    let runner = f.runner().await;
    let resume = request(f, &directory, &Deed::Recall).with_conversation(first.resumed());
    has_to_be_able(&runner, "resume", runner.capabilities().resume, resume).await;
    let second = recalled(f, &runner, &directory, first.resumed()).await;
    assert_knows(&second, &["marmalade"], &[]);
}

pub(super) async fn a_session_is_resumed_in_its_own_directory_only(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let (here, there) = (f.directory().await, f.directory().await);
    let first = taught(f, &runner, &here, "marmalade", Conversation::Fresh).await;
    let deed = Deed::Write { file: "astray.txt".into(), text: "astray".into() };
    let elsewhere = request(f, &there, &deed).with_conversation(first.resumed());
    has_to_be_able(&runner, "resume", runner.capabilities().resume, elsewhere.clone()).await;
    let told_so_far = f.heard().await.len();
    match refusal(&runner, elsewhere).await {
        AgentError::WrongDirectory { wanted, .. } => assert_eq!(wanted, there),
        other => panic!("instead of `WrongDirectory` there was {other:?}"),
    }
    assert_eq!(f.heard().await.len(), told_so_far, "the agent was told all the same");
    assert!(!here.join("astray.txt").exists() && !there.join("astray.txt").exists());
    let again = recalled(f, &runner, &here, first.resumed()).await;
    assert_knows(&again, &["marmalade"], &["astray"]);
}

pub(super) async fn a_session_that_is_not_there_is_refused(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let able = runner.capabilities();
    let directory = f.directory().await;
    let ways = [
        (able.resume, Conversation::Resume(nowhere())),
        (able.fork, Conversation::Fork(nowhere())),
    ];
    for (able, conversation) in ways {
        let request =
            request(f, &directory, &Deed::Say("one".into())).with_conversation(conversation);
        if can(&runner, able, request.clone()).await {
            match refusal(&runner, request).await {
                AgentError::UnknownSession { session } => assert_eq!(session, nowhere()),
                other => panic!("instead of `UnknownSession` there was {other:?}"),
            }
        }
    }
    assert_eq!(f.heard().await, [""; 0]);
    if !able.resume && !able.fork {
        not_applicable("the agent says that it can neither resume nor fork");
    }
}

pub(super) async fn a_fork_knows_what_its_origin_knows(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let (here, there) = (f.directory().await, f.directory().await);
    let origin = taught(f, &runner, &here, "marmalade", Conversation::Fresh).await;
    let fork = request(f, &there, &Deed::Recall).with_conversation(origin.forked());
    has_to_be_able(&runner, "fork", runner.capabilities().fork, fork.clone()).await;
    let fork = turn(&runner, fork).await;
    fork.assert_done();
    assert_knows(&fork, &["marmalade"], &[]);
    assert_ne!(fork.session, origin.session);

    // It works in its own directory, and so does a fork of it.
    let again = f.directory().await;
    let ways = [(&there, fork.resumed(), "fork.txt"), (&again, fork.forked(), "again.txt")];
    for (directory, conversation, file) in ways {
        let deed = Deed::Write { file: file.into(), text: "here".into() };
        let write = request(f, directory, &deed).with_conversation(conversation);
        turn(&runner, write).await.assert_done();
        for other in [&here, &there, &again] {
            assert_eq!(other.join(file).exists(), other == directory, "{}", other.display());
        }
    }
}

pub(super) async fn a_fork_leaves_its_origin_as_it_was(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let (here, there) = (f.directory().await, f.directory().await);
    let origin = taught(f, &runner, &here, "marmalade", Conversation::Fresh).await;
    let fork = request(f, &there, &Deed::Recall).with_conversation(origin.forked());
    has_to_be_able(&runner, "fork", runner.capabilities().fork, fork).await;
    let fork = taught(f, &runner, &there, "piccolo", origin.forked()).await;
    taught(f, &runner, &here, "tuba", origin.resumed()).await;
    let fork = recalled(f, &runner, &there, fork.resumed()).await;
    assert_knows(&fork, &["marmalade", "piccolo"], &["tuba"]);
    let origin = recalled(f, &runner, &here, origin.resumed()).await;
    assert_knows(&origin, &["marmalade", "tuba"], &["piccolo"]);
}

pub(super) async fn sixteen_forks_at_once_are_sixteen_sessions(f: &dyn AgentRunnerFixture) {
    let runner = f.runner().await;
    let origin = taught(f, &runner, &f.directory().await, "marmalade", Conversation::Fresh).await;
    let mut turns = vec![];
    for number in 0..16 {
        let directory = f.directory().await;
        let deed = Deed::Write { file: "mine.txt".into(), text: format!("{number}") };
        let fork = request(f, &directory, &deed).with_conversation(origin.forked());
        if number == 0 {
            has_to_be_able(&runner, "fork", runner.capabilities().fork, fork.clone()).await;
        }
        let runner = Arc::clone(&runner);
        turns.push(async move { (directory, turn(&runner, fork).await) });
    }
    let mut sessions = BTreeSet::from([origin.session]);
    for (number, (directory, told)) in at_once(turns).await.into_iter().enumerate() {
        told.assert_done();
        let mine = std::fs::read_to_string(directory.join("mine.txt"));
        assert_eq!(mine.ok(), Some(format!("{number}\n")), "what is in {}", directory.display());
        sessions.insert(told.session);
    }
    assert_eq!(sessions.len(), 17, "{sessions:?}");
}
