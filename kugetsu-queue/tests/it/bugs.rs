//! The bugs of the original, by their numbers in `docs/features.md`: each test fails on its bug.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentError, AgentId, AgentInfo, AgentRun, AgentRunner, AgentSession,
    AgentSessionId, AgentSessions, NewAgentSession, Request, RunRequest, Status, Task, TaskQuery,
    TaskStore,
};
use kugetsu_queue::{Shutdown, StartError, Wait};
use kugetsu_testkit::fake::FakeAgent;
use tokio_util::sync::CancellationToken;

use crate::line::{Site, failure, issue, report, start};

#[tokio::test]
async fn bug_1_a_place_is_held_as_long_as_its_agent_works_whoever_starts_it() {
    let site = Site::new().await;
    let never = CancellationToken::new;
    {
        let (one, two) = ("MODEL: gate go ;; say one", "MODEL: gate go ;; say two");
        let mut working =
            pin!(async { tokio::join!(start(&site.engine, 1, one), start(&site.engine, 2, two)) });
        tokio::select! {
            ended = &mut working => panic!("{ended:?}"),
            () = site.agent.until_at_work(2) => {}
        }
        // Neither by hand nor by the server is there a way past the limit.
        let task = site.engine.queue().task(Request::dev(issue(3), "MODEL: say three"));
        site.engine.queue().enqueue(&task).await.unwrap();
        let mut served = pin!(site.engine.serve(Shutdown::new(), |error| panic!("{error}")));
        for _ in 0..100 {
            tokio::select! {
                biased;
                () = &mut served => panic!("it ended"),
                refused = start(&site.engine, 4, "MODEL: say four") => {
                    assert!(matches!(refused, Err(StartError::NoSlot { limit: 2, .. })), "{refused:?}");
                }
            }
        }
        assert_eq!(site.agent.at_work(), 2);
        assert_eq!(site.store.list(&TaskQuery::open()).await.unwrap().len(), 3);
        // The PM takes none of their places.
        let pm = Request::pm("MODEL: say hi");
        report(&site.engine.start(pm, Wait::No, never(), |_| {}).await.unwrap());
        site.agent.open("go");
        let (one, two) = working.await;
        report(&one.unwrap());
        report(&two.unwrap());
    }
    // Sessions that are done keep none.
    for number in 5..9 {
        report(&start(&site.engine, number, "MODEL: say hi").await.unwrap());
    }
}

#[tokio::test]
async fn bug_2_of_two_starts_at_once_each_has_the_session_that_works_for_it() {
    let site = Site::new().await;
    for round in 0..20 {
        let (a, b) = (2 * round + 1, 2 * round + 2);
        let (one, two) = (format!("MODEL: say {a}"), format!("MODEL: say {b}"));
        let (one, two) = tokio::join!(start(&site.engine, a, &one), start(&site.engine, b, &two));
        assert_eq!(report(&one.unwrap()).answer, a.to_string());
        assert_eq!(report(&two.unwrap()).answer, b.to_string());
        for number in [a, b] {
            let session = site.session(number).await;
            let id = session.agent_session.unwrap();
            let runs = site.agent.runs();
            let run = runs.iter().find(|run| run.session == id).unwrap();
            assert!(run.message.ends_with(&format!("MODEL: say {number}")), "{run:?}");
            assert_eq!(Some(&run.directory), session.directory.as_ref());
        }
    }
}

/// Its forks work in a directory of its own choice.
#[derive(Debug)]
struct Astray(FakeAgent);

#[async_trait]
impl AgentRunner for Astray {
    fn id(&self) -> &AgentId {
        self.0.id()
    }

    fn capabilities(&self) -> AgentCapabilities {
        self.0.capabilities()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        self.0.probe().await
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        self.0.start(request).await
    }

    fn sessions(&self) -> Option<&dyn AgentSessions> {
        Some(self)
    }
}

#[async_trait]
impl AgentSessions for Astray {
    async fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError> {
        self.0.sessions().unwrap().create(new).await
    }

    async fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError> {
        let mut made = self.0.sessions().unwrap().fork(from, new).await?;
        made.directory = PathBuf::from("/");
        Ok(made)
    }

    async fn describe(&self, id: &AgentSessionId) -> Result<Option<AgentSession>, AgentError> {
        self.0.sessions().unwrap().describe(id).await
    }

    async fn delete(&self, id: &AgentSessionId) -> Result<(), AgentError> {
        self.0.sessions().unwrap().delete(id).await
    }
}

#[tokio::test]
async fn bug_3_an_agent_works_in_its_worktree_or_not_at_all() {
    let site = Site::new().await;
    let astray = site.with_agent(Arc::new(Astray(site.agent.clone())));
    let task = start(&astray, 1, "MODEL: write a.txt one").await.unwrap();
    assert_eq!(task.status(), Status::Error);
    assert!(failure(&task).reason.contains("would work in"), "{task:?}");
    assert!(site.agent.runs().is_empty());
    report(&start(&site.engine, 2, "MODEL: write a.txt one").await.unwrap());
    let (runs, session) = (site.agent.runs(), site.session(2).await);
    assert_eq!(Some(&runs[0].directory), session.directory.as_ref());
    assert!(runs[0].directory.join("a.txt").is_file());
}

#[tokio::test]
async fn bug_7_a_start_that_failed_is_an_error_and_stops_nothing_else() {
    let site = Site::new().await;
    let task = start(&site.engine, 1, "MODEL: http 400").await.unwrap();
    assert_eq!(task.status(), Status::Error);
    assert!(failure(&task).reason.starts_with("the attempt stopped at Run"), "{task:?}");
    let shutdown = Shutdown::new();
    for number in 1..4 {
        let script = if number == 2 { "MODEL: http 400" } else { "MODEL: say hi" };
        let task = site.engine.queue().task(Request::dev(issue(number), script));
        site.engine.queue().enqueue(&task.with_max_attempts(1)).await.unwrap();
    }
    let served = site.engine.serve(shutdown.clone(), |error| panic!("{error}"));
    let settled = async {
        while !site.store.list(&TaskQuery::open()).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        shutdown.cancel.cancel();
    };
    tokio::join!(served, settled);
    let mut ended: Vec<Status> =
        site.store.list(&TaskQuery::all()).await.unwrap().iter().map(Task::status).collect();
    ended.sort_by_key(ToString::to_string);
    assert_eq!(ended, [Status::Completed, Status::Completed, Status::Error, Status::Error]);
}

#[tokio::test]
async fn bug_10_nobody_else_works_on_an_issue_that_is_in_use() {
    let site = Site::new().await;
    let mut working = pin!(start(&site.engine, 1, "MODEL: gate go ;; say one"));
    tokio::select! {
        ended = &mut working => panic!("{ended:?}"),
        () = site.agent.until_at_work(1) => {}
    }
    // Whoever the other is: it may be another engine over the same slots.
    for engine in [site.engine.clone(), site.with_agent(Arc::new(site.agent.clone()))] {
        let refused = start(&engine, 1, "MODEL: say two").await;
        assert!(matches!(refused, Err(StartError::InUse { .. })), "{refused:?}");
    }
    assert_eq!(site.agent.runs().len(), 1);
    site.agent.open("go");
    report(&working.await.unwrap());
}
