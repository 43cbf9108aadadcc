//! Agent sessions outside of a run.

use std::collections::BTreeSet;
use std::sync::Arc;

use kugetsu_core::{
    AgentError, AgentRunner, AgentSession, AgentSessionId, AgentSessions, Conversation,
    NewAgentSession,
};

use super::conversations::{assert_knows, nowhere, recalled, taught};
use super::told::{refusal, request, turn};
use super::{AgentRunnerFixture, Deed};
use crate::suite::promise::{at_once, not_applicable};

/// The runner, if it has sessions. A runner without them has none of these promises to keep, and
/// `there_are_sessions_where_there_should_be` sees to it that nobody has none by mistake.
async fn with_sessions(f: &dyn AgentRunnerFixture) -> Arc<dyn AgentRunner> {
    if !f.has_sessions() {
        not_applicable("the runner has no sessions but those of its runs");
    }
    f.runner().await
}

fn sessions(runner: &Arc<dyn AgentRunner>) -> &dyn AgentSessions {
    runner.sessions().unwrap_or_else(|| panic!("the runner has no sessions"))
}

fn fine<T>(done: Result<T, AgentError>) -> T {
    done.unwrap_or_else(|error| panic!("the agent failed: {error}"))
}

async fn describe(runner: &Arc<dyn AgentRunner>, id: &AgentSessionId) -> Option<AgentSession> {
    fine(sessions(runner).describe(id).await)
}

pub(super) async fn there_are_sessions_where_there_should_be(f: &dyn AgentRunnerFixture) {
    assert_eq!(f.runner().await.sessions().is_some(), f.has_sessions());
}

pub(super) async fn a_session_made_is_described(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let (here, there) = (f.directory().await, f.directory().await);
    let mut made = vec![];
    for directory in [&here, &there, &here] {
        let new = NewAgentSession::new(directory, "Two \"at\" once; $(x) 日本語");
        let session = fine(sessions(&runner).create(&new).await);
        assert_eq!(session.directory, *directory);
        made.push(session);
    }
    assert_ne!(made[0].id, made[2].id);
    for session in made {
        for runner in [&runner, &f.runner().await] {
            let Some(found) = describe(runner, &session.id).await else {
                panic!("{} is not there", session.id);
            };
            assert_eq!((&found.id, &found.directory), (&session.id, &session.directory));
        }
    }
    assert_eq!(describe(&runner, &nowhere()).await, None);
    assert_eq!(f.heard().await, [""; 0], "the agent has said something");
}

pub(super) async fn a_session_made_is_resumed_in_its_directory(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let (here, there) = (f.directory().await, f.directory().await);
    let made = fine(sessions(&runner).create(&NewAgentSession::new(&here, "Base")).await);
    let resumed = || Conversation::Resume(made.id.clone());
    let told = taught(f, &runner, &here, "marmalade", resumed()).await;
    assert_eq!(told.session, made.id);
    assert_knows(&recalled(f, &runner, &here, resumed()).await, &["marmalade"], &[]);
    let elsewhere = request(f, &there, &Deed::Recall).with_conversation(resumed());
    let refused = refusal(&runner, elsewhere).await;
    assert!(matches!(refused, AgentError::WrongDirectory { .. }), "{refused:?}");
}

pub(super) async fn a_session_made_knows_its_briefing(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let directory = f.directory().await;
    let new = NewAgentSession::new(&directory, "Base").with_briefing("Mind the marmalade.");
    let made = fine(sessions(&runner).create(&new).await);
    assert_eq!(f.heard().await, [""; 0], "the agent has answered its briefing");
    let told = recalled(f, &runner, &directory, Conversation::Resume(made.id)).await;
    assert_knows(&told, &["Mind the marmalade."], &[]);
}

pub(super) async fn a_copy_of_a_session_knows_what_it_knows(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let (here, there) = (f.directory().await, f.directory().await);
    let new = NewAgentSession::new(&here, "Base").with_briefing("Mind the marmalade.");
    let origin = fine(sessions(&runner).create(&new).await);
    let copy =
        fine(sessions(&runner).fork(&origin.id, &NewAgentSession::new(&there, "Copy")).await);
    assert_ne!(copy.id, origin.id);
    assert_eq!(copy.directory, there);
    assert!(!copy.how.is_empty(), "it is not told how the copy was made");
    let resumed = || Conversation::Resume(copy.id.clone());
    let told = taught(f, &runner, &there, "piccolo", resumed()).await;
    assert_eq!(told.session, copy.id);
    let deed = Deed::Write { file: "copy.txt".into(), text: "here".into() };
    turn(&runner, request(f, &there, &deed).with_conversation(resumed())).await.assert_done();
    assert!(there.join("copy.txt").exists() && !here.join("copy.txt").exists());
    let told = recalled(f, &runner, &there, resumed()).await;
    assert_knows(&told, &["Mind the marmalade.", "piccolo"], &[]);

    // The origin is as it was.
    let Some(found) = describe(&runner, &origin.id).await else { panic!("the origin is gone") };
    assert_eq!(found.directory, here);
    let told = recalled(f, &runner, &here, Conversation::Resume(origin.id)).await;
    assert_knows(&told, &["Mind the marmalade."], &["piccolo"]);

    let lost = sessions(&runner).fork(&nowhere(), &NewAgentSession::new(&there, "Lost")).await;
    assert!(matches!(lost, Err(AgentError::UnknownSession { .. })), "{lost:?}");
}

pub(super) async fn sixteen_copies_at_once_are_sixteen_sessions(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let new = NewAgentSession::new(f.directory().await, "Base").with_briefing("Mind the tuba.");
    let origin = fine(sessions(&runner).create(&new).await);
    let mut copies = vec![];
    for number in 0..16 {
        let new = NewAgentSession::new(f.directory().await, format!("Copy {number}"));
        let (runner, from) = (Arc::clone(&runner), origin.id.clone());
        copies.push(async move {
            let copy = fine(sessions(&runner).fork(&from, &new).await);
            (new.directory, copy)
        });
    }
    let mut ids = BTreeSet::from([origin.id]);
    let copies = at_once(copies).await;
    for (directory, copy) in &copies {
        assert_eq!(copy.directory, *directory);
        let found = describe(&runner, &copy.id).await.map(|found| found.directory);
        assert_eq!(found.as_ref(), Some(directory), "where {} works", copy.id);
        ids.insert(copy.id.clone());
    }
    assert_eq!(ids.len(), 17, "{ids:?}");
    let (directory, copy) = &copies[15];
    let told = recalled(f, &runner, directory, Conversation::Resume(copy.id.clone())).await;
    assert_knows(&told, &["Mind the tuba."], &[]);
}

pub(super) async fn a_session_deleted_is_gone(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    let directory = f.directory().await;
    let keep = fine(sessions(&runner).create(&NewAgentSession::new(&directory, "Keep")).await);
    let told = taught(f, &runner, &directory, "marmalade", Conversation::Fresh).await;
    fine(sessions(&runner).delete(&told.session).await);
    assert_eq!(describe(&runner, &told.session).await, None);
    let resume = request(f, &directory, &Deed::Recall).with_conversation(told.resumed());
    let refused = refusal(&runner, resume).await;
    assert!(matches!(refused, AgentError::UnknownSession { .. }), "{refused:?}");
    assert!(describe(&runner, &keep.id).await.is_some(), "another session is gone too");
}

pub(super) async fn deleting_what_is_not_there_is_done_already(f: &dyn AgentRunnerFixture) {
    let runner = with_sessions(f).await;
    fine(sessions(&runner).delete(&nowhere()).await);
    let new = NewAgentSession::new(f.directory().await, "Short");
    let made = fine(sessions(&runner).create(&new).await);
    fine(sessions(&runner).delete(&made.id).await);
    fine(sessions(&runner).delete(&made.id).await);
    assert_eq!(describe(&f.runner().await, &made.id).await, None);
}
