//! Which agent works on an issue.

use std::collections::BTreeMap;
use std::sync::Arc;

use kugetsu_core::{AgentId, AgentRunner, IssueRef, RepoRef, Retry, SessionKind};

use super::{At as _, Halt, Line, Stage};

/// The agents that work on issues: the default one, and others by name.
#[derive(Debug, Clone)]
pub(crate) struct Agents {
    pub(crate) default: Arc<dyn AgentRunner>,
    pub(crate) others: Vec<Arc<dyn AgentRunner>>,
    pub(crate) of_repositories: BTreeMap<RepoRef, AgentId>,
}

impl Agents {
    fn named(&self, name: &AgentId) -> Option<&Arc<dyn AgentRunner>> {
        std::iter::once(&self.default).chain(&self.others).find(|agent| agent.id() == name)
    }
}

impl Line {
    /// The agent that was asked for; else the one with which the issue's session is, as long as it is
    /// set up; else the repository's, or the default one. One that is asked for and not set up is an
    /// error before anything is made.
    pub(crate) async fn dev_agent(
        &self,
        issue: &IssueRef,
        wanted: Option<&AgentId>,
    ) -> Result<Arc<dyn AgentRunner>, Halt> {
        let mut wanted = wanted;
        if wanted.is_none() {
            let session = self.find(&SessionKind::Dev(issue.clone())).await.at(Stage::Session)?;
            let known = session.and_then(|session| self.agents.named(&session.agent));
            if let Some(agent) = known {
                return Ok(Arc::clone(agent));
            }
            wanted = self.agents.of_repositories.get(issue.repository());
        }
        let Some(name) = wanted else { return Ok(Arc::clone(&self.agents.default)) };
        self.agents.named(name).cloned().ok_or_else(|| {
            let reason = format!("no agent is set up that is called {name}");
            Halt::failed(Stage::Start, reason, Retry::Never)
        })
    }
}
