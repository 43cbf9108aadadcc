//! A kugetsu with an agent of its own, which counts the words that it was told.
//! Try it: `KUGETSU_DIR=$(mktemp -d) KUGETSU_AGENT=counter custom-agent init`

use std::{error::Error, process::ExitCode, sync::Arc};

use async_trait::async_trait;
use kugetsu_cli::CliRunner;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, Finish, RunRequest, Stop,
};

#[derive(Debug)]
struct Counter(AgentId);

#[async_trait]
impl AgentRunner for Counter {
    fn id(&self) -> &AgentId {
        &self.0
    }
    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }
    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new("counter", "1"))
    }
    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        let text = format!("I was told {} words.", request.message.split_whitespace().count());
        let events = [AgentEvent::Message { text }, AgentEvent::Finished(Finish::Done)].map(Ok);
        Ok(AgentRun::new(Box::pin(tokio_stream::iter(events)), Arc::new(Done)))
    }
}

#[derive(Debug)]
struct Done;

#[async_trait]
impl AgentControl for Done {
    async fn stop(&self, _how: Stop) -> Result<(), AgentError> {
        Ok(())
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let id = AgentId::new("counter")?;
    let agent = Arc::new(Counter(id));
    Ok(CliRunner::default().with_agent("counter", move |_place| Ok(agent.clone())).run())
}
