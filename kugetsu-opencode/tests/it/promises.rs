//! What every agent runner promises, kept by both engines.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use kugetsu_core::AgentRunner;
use kugetsu_opencode::Engine;
use kugetsu_testkit::suite::AgentRunnerFixture;

use crate::fixture::Fixture;

struct Opencode {
    fixture: Fixture,
    engine: Engine,
    directories: AtomicU32,
}

async fn opencode(engine: Engine) -> Opencode {
    let fixture = Fixture::of(engine).await;
    Opencode { fixture, engine, directories: AtomicU32::new(0) }
}

#[async_trait]
impl AgentRunnerFixture for Opencode {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(self.fixture.another_runner_of(self.engine))
    }

    async fn directory(&self) -> PathBuf {
        let number = self.directories.fetch_add(1, Ordering::Relaxed);
        self.fixture.worktree(&format!("w{number}"))
    }

    async fn open(&self, gate: &str) {
        self.fixture.model.open(gate);
    }

    async fn heard(&self) -> Vec<String> {
        let requests = self.fixture.model.requests();
        requests.iter().map(|request| request.prompt().to_owned()).collect()
    }

    async fn until_at_work(&self, turns: usize) {
        let at_work = |requests: &[kugetsu_testkit::model::Recorded]| {
            requests.iter().filter(|request| request.ended.is_none()).count() == turns
        };
        self.fixture.model.wait_for(at_work).await;
    }
}

mod through_a_server {
    kugetsu_testkit::agent_runner_conformance!(super::opencode(super::Engine::Server).await);
}

mod by_a_process_each {
    kugetsu_testkit::agent_runner_conformance!(super::opencode(super::Engine::Run).await);
}
