//! The runner's server: started when it is needed, shared by all runs, replaced when it is gone or
//! has grown too large.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;

use super::Server;
use super::boot::{BootError, boot};
use crate::config::OpencodeConfig;
use crate::fault;
use crate::recovery::{self, Ended};
use crate::state::State;

/// At most one living server.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<OpencodeConfig>,
    current: tokio::sync::Mutex<Option<Arc<Server>>>,
    recovered: tokio::sync::OnceCell<()>,
    ended: Mutex<Vec<Ended>>,
}

/// The right to use the server. While one is held, the server is not replaced.
#[derive(Debug, Clone)]
pub(crate) struct Lease(Arc<Server>);

impl std::ops::Deref for Lease {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

impl Pool {
    pub(crate) fn new(config: Arc<OpencodeConfig>) -> Self {
        Self {
            config,
            current: tokio::sync::Mutex::default(),
            recovered: tokio::sync::OnceCell::new(),
            ended: Mutex::default(),
        }
    }

    /// The server, started if there is none.
    pub(crate) async fn lease(&self, program: &Path, version: &str) -> Result<Lease, AgentError> {
        let state = self.state().await?;
        let mut current = self.current.lock().await;
        if let Some(server) = current.take() {
            if server.death().is_none() && !self.is_outgrown(&server) {
                *current = Some(Arc::clone(&server));
                return Ok(Lease(server));
            }
            server.end(self.config.limits.stop + self.config.limits.grace).await;
        }
        let server = boot(&self.config, &state, program, version).await.map_err(fault_of)?;
        let server = Arc::new(server);
        *current = Some(Arc::clone(&server));
        Ok(Lease(server))
    }

    /// The runner's directory, in which nothing is left of earlier processes.
    pub(crate) async fn state(&self) -> Result<State, AgentError> {
        let state = State::open(&self.config.state).map_err(|error| {
            fault::io(format!("open its directory {}", self.config.state.display()), error)
        })?;
        self.recovered
            .get_or_try_init(|| async {
                let ended = {
                    let state = state.clone();
                    tokio::task::spawn_blocking(move || recovery::recover(&state)).await
                };
                let ended = ended
                    .map_err(std::io::Error::other)
                    .flatten()
                    .map_err(|error| fault::io("end what an earlier process left behind", error))?;
                self.ended.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
                Ok::<(), AgentError>(())
            })
            .await?;
        Ok(state)
    }

    /// What had to be ended so far; each is told once.
    pub(crate) fn take_ended(&self) -> Vec<Ended> {
        std::mem::take(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the server, if there is one, with all its runs.
    pub(crate) async fn shut_down(&self) {
        let server = self.current.lock().await.take();
        if let Some(server) = server {
            server.end(self.config.limits.stop + self.config.limits.grace).await;
        }
    }

    /// Ends the server if it holds too much memory and nobody uses it.
    pub(crate) async fn tidy(&self) {
        let mut current = self.current.lock().await;
        if let Some(server) = current.take_if(|server| self.is_outgrown(server)) {
            server.end(self.config.limits.stop + self.config.limits.grace).await;
        }
    }

    fn is_outgrown(&self, server: &Arc<Server>) -> bool {
        Arc::strong_count(server) <= 1
            && server.post().is_empty()
            && server.memory().is_some_and(|memory| memory > self.config.limits.memory)
    }
}

fn fault_of(error: BootError) -> AgentError {
    let retry = match &error {
        BootError::Guard(_) => Retry::Never,
        _ => Retry::Later,
    };
    fault::backend("start its server", retry, error)
}
