use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{AgentCapabilities, AgentRunner};
use kugetsu_testkit::fake::FakeAgent;
use kugetsu_testkit::suite::AgentRunnerFixture;
use tempfile::TempDir;

pub(crate) struct Fake {
    pub(crate) agent: FakeAgent,
    has_sessions: bool,
    root: TempDir,
}

impl Fake {
    pub(crate) fn able() -> Self {
        Self { agent: FakeAgent::new(), has_sessions: true, root: TempDir::new().unwrap() }
    }

    pub(crate) fn simple() -> Self {
        let agent =
            FakeAgent::new().with_capabilities(AgentCapabilities::default()).without_sessions();
        Self { agent, has_sessions: false, ..Self::able() }
    }
}

#[async_trait]
impl AgentRunnerFixture for Fake {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(self.agent.clone())
    }

    async fn directory(&self) -> PathBuf {
        let root = self.root.path().canonicalize().unwrap();
        TempDir::new_in(root).unwrap().keep()
    }

    async fn open(&self, gate: &str) {
        self.agent.open(gate);
    }

    async fn heard(&self) -> Vec<String> {
        self.agent.runs().into_iter().map(|run| run.message).collect()
    }

    async fn until_at_work(&self, turns: usize) {
        self.agent.until_at_work(turns).await;
    }

    fn has_sessions(&self) -> bool {
        self.has_sessions
    }
}

mod able {
    kugetsu_testkit::agent_runner_conformance!(super::Fake::able());
}

mod simple {
    kugetsu_testkit::agent_runner_conformance!(super::Fake::simple());
}
