//! Which agent a request names.

use kugetsu_core::{AgentId, IssueRef, SessionKind};

use crate::errors::CliError;
use crate::setup::Setup;

/// The agent that was asked for; or else, if the issue has no session yet, the one of its labels. The
/// line knows the rest: whose session the issue has, and which agent is its repository's.
pub(super) async fn chosen(
    setup: &Setup,
    issue: &IssueRef,
    labels: &[String],
    asked: Option<&str>,
) -> Result<Option<AgentId>, CliError> {
    if let Some(name) = asked {
        let agent = setup.agent_named(name)?.ok_or_else(|| {
            CliError::usage(format!("no agent is set up that is called {name:?}"))
                .hint(format!("known are: {}", setup.agent_names().join(", ")))
        })?;
        return Ok(Some(agent.id().clone()));
    }
    let session = setup.session(SessionKind::Dev(issue.clone())).await?;
    if session.is_some_and(|session| session.agent_session.is_some()) {
        return Ok(None);
    }
    match setup.settings()?.agent_for().of_labels(labels) {
        Some(name) => setup.agent_for(name).map(|agent| Some(agent.id().clone())),
        None => Ok(None),
    }
}
