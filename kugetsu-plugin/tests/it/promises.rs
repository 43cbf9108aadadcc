//! What every agent runner promises, kept through both outputs.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::AgentRunner;
use kugetsu_plugin::Output;
use kugetsu_testkit::suite::{AgentRunnerFixture, agents};

use crate::world::World;

#[async_trait]
impl AgentRunnerFixture for World {
    async fn runner(&self) -> Arc<dyn AgentRunner> {
        Arc::new(self.agent())
    }

    async fn directory(&self) -> PathBuf {
        self.work()
    }

    async fn open(&self, gate: &str) {
        self.open(gate);
    }

    async fn heard(&self) -> Vec<String> {
        self.heard()
    }

    async fn until_at_work(&self, turns: usize) {
        self.until_at_work(turns).await;
    }

    fn has_sessions(&self) -> bool {
        false
    }
}

mod as_lines_of_json {
    kugetsu_testkit::agent_runner_conformance!(super::World::new(super::Output::Json));
}

/// For these an agent needs more than words: tools, questions, and the cause of a failure.
const MORE_THAN_WORDS: [&str; 3] = [
    "the_agent_works_in_the_directory_it_was_given",
    "a_rate_limit_is_told_as_one_of_its_provider",
    "what_nobody_may_grant_is_refused_and_told",
];

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_keeps_all_promises_that_words_can_keep() {
    let is_beyond = |name: &str| MORE_THAN_WORDS.contains(&name);
    assert_eq!(agents::PROMISES.iter().filter(|promise| is_beyond(promise.name)).count(), 3);
    for promise in agents::PROMISES {
        let world: Box<dyn AgentRunnerFixture> = Box::new(World::new(Output::Text));
        let kept = promise.check(&*world).await;
        assert_eq!(kept.is_err(), is_beyond(promise.name), "{}: {kept:?}", promise.name);
    }
}
