//! What every agent runner promises, kept with the fake agent.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::AgentRunner;
use kugetsu_testkit::suite::AgentRunnerFixture;

use crate::fixture::Fixture;

pub(crate) struct Acp(pub(crate) Fixture);

#[async_trait]
impl AgentRunnerFixture for Acp {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(self.0.runner())
    }

    async fn directory(&self) -> PathBuf {
        self.0.worktree()
    }

    async fn open(&self, gate: &str) {
        self.0.model.open(gate);
    }

    async fn heard(&self) -> Vec<String> {
        let requests = self.0.model.requests();
        requests.iter().map(|request| request.prompt().to_owned()).collect()
    }

    async fn until_at_work(&self, turns: usize) {
        self.0.until_at_work(turns).await;
    }

    fn has_sessions(&self) -> bool {
        false
    }
}

mod with_an_agent_that_can_all {
    kugetsu_testkit::agent_runner_conformance!(super::Acp(super::Fixture::new().await));
}

mod with_an_agent_that_can_little {
    use kugetsu_core::AgentRunner as _;

    use super::{Acp, Fixture};

    /// What it can do is known once it was started.
    async fn probed() -> Acp {
        let fixture = Fixture::with(&["no-resume", "no-load", "no-fork", "no-list"]).await;
        fixture.runner().probe().await.unwrap();
        Acp(fixture)
    }

    kugetsu_testkit::agent_runner_conformance!(probed().await);
}
