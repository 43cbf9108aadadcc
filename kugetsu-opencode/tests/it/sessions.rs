//! Sessions outside of a run.

use std::collections::HashSet;
use std::sync::Arc;

use kugetsu_core::agent::{
    AgentError, AgentSessions as _, Conversation, NewAgentSession, RunRequest,
};
use kugetsu_core::{AgentRunner as _, AgentSessionId};

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_base_knows_its_briefing_and_nobody_was_asked() {
    let fixture = Fixture::new().await;
    let home = fixture.path().join("home of the base");
    std::fs::create_dir(&home).unwrap();
    let new = NewAgentSession::new(&home, "base").with_briefing("be kind");
    let base = fixture.runner.create(&new).await.unwrap();
    assert_eq!(base.directory, home.canonicalize().unwrap());
    assert!(fixture.model.requests().is_empty());

    let worktree = fixture.worktree("one");
    let told = fixture
        .run(
            RunRequest::new(&worktree, "MODEL: bash pwd > where ;; history")
                .with_conversation(Conversation::Fork(base.id.clone())),
        )
        .await;
    assert!(told.text().contains("first=be kind"), "{told:?}");
    assert_ne!(told.session(), base.id);
    let wrote = std::fs::read_to_string(worktree.join("where")).unwrap();
    assert_eq!(wrote.trim(), worktree.to_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_forking_keeps_the_conversation_and_finds_the_worktree() {
    let fixture = Fixture::new().await;
    let home = fixture.path().join("home");
    std::fs::create_dir(&home).unwrap();
    // Words alone, outside of the repository.
    let words = NewAgentSession::new(&home, "base").with_briefing("words alone");
    let words = fixture.runner.create(&words).await.unwrap();
    // A conversation with answers, outside of the repository.
    let spoken = fixture.run(RunRequest::new(&home, "MODEL: say spoken to")).await.session();
    // One in a worktree that is gone by now.
    let gone = fixture.worktree("gone");
    let new = NewAgentSession::new(&gone, "repo").with_briefing("within the project");
    let within = fixture.runner.create(&new).await.unwrap();
    fixture.repository.git(&["worktree", "remove", "--force", gone.to_str().unwrap()]).unwrap();

    let cases = [
        (within.id, "fork+move", "within the project", 2),
        (words.id, "retell", "words alone", 2),
        (spoken, "import", "MODEL: say spoken to", 2),
    ];
    for (index, (base, how, knows, users)) in cases.into_iter().enumerate() {
        let worktree = fixture.worktree(&format!("w{index}"));
        let new = NewAgentSession::new(&worktree, format!("fork {index}"));
        let fork = fixture.runner.fork(&base, &new).await.unwrap();
        assert_eq!((fork.how.as_str(), &fork.directory), (how, &worktree));
        let resume = Conversation::Resume(fork.id.clone());
        let request = RunRequest::new(&worktree, "MODEL: history").with_conversation(resume);
        let told = fixture.run(request).await;
        assert!(told.text().contains(&format!("first={knows}")), "{how}: {told:?}");
        assert!(told.text().contains(&format!("users={users}")), "{how}: {told:?}");
        assert_eq!(fixture.runner.describe(&base).await.unwrap().unwrap().id, base);
    }
    assert!(!gone.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_forks_at_once_are_sixteen_sessions_each_in_its_own_worktree() {
    let fixture = Arc::new(Fixture::new().await);
    let home = fixture.worktree("home");
    let within = fixture
        .runner
        .create(&NewAgentSession::new(&home, "base").with_briefing("base"))
        .await
        .unwrap();
    let outside = fixture.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let outside = fixture
        .runner
        .create(&NewAgentSession::new(&outside, "base").with_briefing("base"))
        .await
        .unwrap();
    for (base, how) in [(within.id, "fork+move"), (outside.id, "retell")] {
        let mut forks = tokio::task::JoinSet::new();
        for index in 0..16 {
            let (fixture, base) = (Arc::clone(&fixture), base.clone());
            let worktree = fixture.worktree(&format!("{how}-{index}"));
            forks.spawn(async move {
                let new = NewAgentSession::new(&worktree, format!("fork {index}"));
                let fork = fixture.runner.fork(&base, &new).await.unwrap();
                assert_eq!((fork.how.as_str(), &fork.directory), (how, &worktree));
                let told = fixture.runner.describe(&fork.id).await.unwrap().unwrap();
                assert_eq!(told.directory, worktree);
                fork.id
            });
        }
        let ids: HashSet<AgentSessionId> = forks.join_all().await.into_iter().collect();
        assert_eq!(ids.len(), 16);
        assert!(!ids.contains(&base));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_is_gone_even_if_it_was_busy() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut run = fixture.runner.start(RunRequest::new(&worktree, "MODEL: hang")).await.unwrap();
    let first = tokio_stream::StreamExt::next(&mut run.events).await.unwrap().unwrap();
    let kugetsu_core::AgentEvent::SessionStarted { session } = first else { panic!("{first:?}") };
    fixture.model.wait_for_in_flight(1).await;
    fixture.runner.delete(&session).await.unwrap();
    fixture.model.wait_for_ended(1).await;
    assert_eq!(fixture.runner.describe(&session).await.unwrap(), None);
    // Twice is once.
    fixture.runner.delete(&session).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_there_is_said_to_be_so() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    for name in ["ses_nothere00000000000000000000", "../../global/health", "x"] {
        let id = AgentSessionId::new(name).unwrap();
        assert_eq!(fixture.runner.describe(&id).await.unwrap(), None, "{name}");
        for conversation in [Conversation::Resume(id.clone()), Conversation::Fork(id.clone())] {
            let request = RunRequest::new(&worktree, "hello").with_conversation(conversation);
            let error = fixture.runner.start(request).await.unwrap_err();
            assert!(matches!(error, AgentError::UnknownSession { .. }), "{name}: {error}");
        }
    }
    let nowhere = NewAgentSession::new(fixture.path().join("nowhere"), "x");
    let error = fixture.runner.create(&nowhere).await.unwrap_err();
    assert!(matches!(error, AgentError::WrongDirectory { found: None, .. }), "{error}");
}
