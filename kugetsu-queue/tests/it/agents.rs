//! Which agent works on an issue, of several.

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSessionId, Conversation, Finish, Happening, Request, Retry, RunRequest,
    SessionStore as _, Status, Stop, Task, WorktreeProvider as _,
};
use kugetsu_queue::{Contexts, Engine, Wait};
use kugetsu_testkit::fake::FakeAgent;
use tokio_util::sync::CancellationToken;

use crate::line::{Site, failure, issue};

async fn started(engine: &Engine, number: u64, message: &str, agent: Option<&AgentId>) -> Task {
    let request = Request::dev(issue(number), message).with_agent(agent.cloned());
    engine.start(request, Wait::No, CancellationToken::new(), |_| {}).await.unwrap()
}

fn other() -> (AgentId, FakeAgent) {
    let id = AgentId::new("acp:other").unwrap();
    (id.clone(), FakeAgent::new().with_id(id))
}

#[tokio::test]
async fn a_request_goes_to_the_agent_that_it_names_and_an_issue_stays_with_its_own() {
    let site = Site::new().await;
    let (id, other) = other();
    let engine = site.with_other_agent(Arc::new(other.clone()));
    for (agent, by_default, by_other) in [
        (None, 1, 0),
        (Some(&id), 1, 1),
        (None, 1, 2),
        (Some(&AgentId::new("fake").unwrap()), 2, 2),
    ] {
        // The first is about another issue than the rest.
        let number = if by_other == 0 { 1 } else { 2 };
        let task = started(&engine, number, "say done", agent).await;
        assert_eq!(task.status(), Status::Completed, "{task:?}");
        assert_eq!((site.agent.runs().len(), other.runs().len()), (by_default, by_other));
    }
    let session = site.session(2).await;
    assert_eq!(session.agent.as_str(), "fake", "the record is of whoever worked last");
    assert!(session.forked_from.is_some());
}

#[tokio::test]
async fn an_agent_that_is_not_set_up_ends_the_task_before_anything_is_made() {
    let site = Site::new().await;
    let nobody = AgentId::new("acp:nobody").unwrap();
    let task = started(&site.engine, 1, "say done", Some(&nobody)).await;
    let failure = failure(&task);
    assert_eq!(
        failure.reason,
        "the attempt stopped at Start: no agent is set up that is called acp:nobody"
    );
    assert!(failure.retry == Retry::Never && task.attempts.len() == 1);
    assert!(site.worktrees().inspect(&issue(1)).await.unwrap().is_none());
    assert!(site.agent.runs().is_empty());
}

#[tokio::test]
async fn another_agent_has_a_session_of_its_own_and_is_told_what_was_said_before() {
    for has_sessions in [true, false] {
        let site = Site::new().await;
        let (id, mut other) = other();
        if !has_sessions {
            other = other.without_sessions();
        }
        let contexts = Contexts::new(site.root.path().join("context"));
        let engine = site.with_other_agent(Arc::new(other.clone())).with_contexts(contexts);
        let task = started(&engine, 1, "say The cause is the moon.", None).await;
        assert_eq!(task.status(), Status::Completed, "{task:?}");
        let first = site.session(1).await;

        let task = started(&engine, 1, "say done", Some(&id)).await;
        assert_eq!(task.status(), Status::Completed, "{task:?}");
        let second = site.session(1).await;
        assert_eq!(second.agent, id);
        assert_eq!(second.forked_from, None, "nobody copies another agent's base");
        assert_ne!(second.agent_session, first.agent_session);
        let runs = other.runs();
        assert!(runs[0].message.contains("The cause is the moon."), "{}", runs[0].message);
        let conversation = &runs[0].conversation;
        let made = second.agent_session.clone().map(Conversation::Resume);
        let expected = made.filter(|_| has_sessions).unwrap_or(Conversation::Fresh);
        assert_eq!(*conversation, expected);
        // The base is still its own agent's, and so are the issues that come after.
        let task = started(&engine, 2, "say done", None).await;
        assert!(
            site.told(&task)
                .await
                .iter()
                .any(|what| matches!(what, Happening::SessionReady { .. }))
        );
        assert!(site.session(2).await.forked_from.is_some());
    }
}

#[tokio::test]
async fn a_base_of_another_agent_is_made_anew_by_init() {
    let site = Site::new().await;
    let (id, other) = other();
    let engine = site.with_agent(Arc::new(other.clone()));
    let base = engine.init().await.unwrap();
    assert_eq!((&base.base.agent, &base.pm.agent), (&id, &id));
    let task = started(&engine, 1, "say done", None).await;
    assert_eq!(task.status(), Status::Completed, "{task:?}");
    let session = site.session(1).await;
    assert_eq!((session.agent, session.forked_from), (id, base.base.agent_session));
    assert!(site.store.load(base.base.id).await.unwrap().is_some());
}

/// An agent that says a mebibyte so many times.
#[derive(Debug)]
struct Babbler(AgentId, usize);

#[async_trait]
impl AgentRunner for Babbler {
    fn id(&self) -> &AgentId {
        &self.0
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("babbler", "1"))
    }

    async fn start(&self, _: RunRequest) -> Result<AgentRun, AgentError> {
        let session = AgentSessionId::new("babble").unwrap();
        let said = AgentEvent::Message { text: "x".repeat(1 << 20) };
        let mut events = vec![AgentEvent::SessionStarted { session }];
        events.extend(std::iter::repeat_n(said, self.1));
        events.push(AgentEvent::Message { text: "Done.".into() });
        events.push(AgentEvent::Finished(Finish::Done));
        let events = tokio_stream::iter(events.into_iter().map(Ok));
        Ok(AgentRun::new(Box::pin(events), Arc::new(Over)))
    }
}

#[derive(Debug)]
struct Over;

#[async_trait]
impl AgentControl for Over {
    async fn stop(&self, _: Stop) -> Result<(), AgentError> {
        Ok(())
    }
}

#[tokio::test]
async fn an_agent_that_talks_without_end_fills_no_store_and_is_settled_all_the_same() {
    let site = Site::new().await;
    let id = AgentId::new("babbler").unwrap();
    let engine = site.with_other_agent(Arc::new(Babbler(id.clone(), 40)));
    let task = started(&engine, 1, "say", Some(&id)).await;
    assert_eq!(task.status(), Status::Completed, "{}", task.status());
    let events = site.told(&task).await;
    let said: usize = events
        .iter()
        .map(|what| match what {
            Happening::Agent(AgentEvent::Message { text }) => text.len(),
            _ => 0,
        })
        .sum();
    assert!((16 << 20..=32 << 20).contains(&said), "{said}");
    assert!(events.iter().any(|what| matches!(what, Happening::Settled { .. })));
}
