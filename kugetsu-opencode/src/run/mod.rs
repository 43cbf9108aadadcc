//! One turn of an agent.

mod control;
mod events;
mod follow;
mod turn;
mod verdict;

pub(crate) use control::{Brake, RunControl, Stopped, brake};
pub(crate) use events::Events;

use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_core::agent::{AgentError, AgentRun, AgentSession, RunRequest};
use kugetsu_core::error::Retry;
use tokio::sync::{mpsc, oneshot};

use crate::fault;
use crate::runner::OpencodeRunner;
use crate::server::Lease;
use turn::Turn;

/// How many events wait for a slow reader; what comes then waits in the turn's inbox.
pub(crate) const WAITING: usize = 64;

/// Sends the message to the session and returns once opencode has it.
pub(crate) async fn start(
    runner: &OpencodeRunner,
    server: Lease,
    session: AgentSession,
    directory: PathBuf,
    request: RunRequest,
) -> Result<AgentRun, AgentError> {
    let id = session.id.as_str().to_owned();
    let patience = runner.config().limits.stop;
    let Some(inbox) = server.post().open(&id, patience).await else {
        return Err(busy(&id));
    };
    let (tell, told) = mpsc::channel(WAITING);
    let (accept, accepted) = oneshot::channel();
    let (stopping, brake) = brake();
    // Made before the message is sent: whoever drops this future stops the turn with it.
    let events = Events::new(told, stopping.clone());
    let turn = Turn::new(runner, server, inbox, session, directory, request.role, tell)?;
    let pool = Arc::clone(runner.pool());
    tokio::spawn(async move {
        turn.run(request, accept, brake).await;
        // Only now does this run no longer use the server.
        pool.tidy().await;
    });
    match accepted.await {
        Ok(Ok(())) => Ok(AgentRun::new(Box::pin(events), Arc::new(RunControl::new(stopping)))),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            Err(AgentError::Died { who: fault::WHO.into(), detail: "its turn was lost".into() })
        }
    }
}

pub(crate) fn busy(session: &str) -> AgentError {
    fault::backend(
        "start a run",
        Retry::Later,
        format!("the session {session} is busy with another"),
    )
}
