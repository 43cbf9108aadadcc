//! The runner's server: started when it is needed, shared by all runs, replaced when it is gone or
//! has grown too large.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use kugetsu_guard::{Ended, StartError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Server;
use super::boot::{BootError, boot};
use crate::config::OpencodeConfig;
use crate::fault;
use crate::state::State;

/// How often it is looked whether a server is idle, in the time after which it is ended.
const LOOKS: u32 = 10;

/// One living server for whoever comes, and at most one more that has grown too large and only finishes
/// what runs on it.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<OpencodeConfig>,
    current: tokio::sync::Mutex<Option<Arc<Server>>>,
    retiring: Mutex<Option<Retiring>>,
    recovered: tokio::sync::OnceCell<()>,
    ended: Mutex<Vec<Ended>>,
    /// How often somebody has asked for the server.
    uses: AtomicU64,
}

/// A server that nobody gets any more. It ends with the last lease of it.
#[derive(Debug)]
struct Retiring {
    server: Weak<Server>,
    death: watch::Receiver<Option<String>>,
}

/// The right to use the server. While one is held, the server is not ended.
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
            retiring: Mutex::default(),
            recovered: tokio::sync::OnceCell::new(),
            ended: Mutex::default(),
            uses: AtomicU64::new(0),
        }
    }

    /// The server, started if there is none.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        program: &Path,
        version: &str,
    ) -> Result<Lease, AgentError> {
        self.uses.fetch_add(1, Ordering::Relaxed);
        let state = self.state().await?;
        let mut current = self.current.lock().await;
        if let Some(server) = current.take() {
            let lives = server.death().is_none();
            if lives && !(self.is_outgrown(&server) && self.may_go(&server)) {
                *current = Some(Arc::clone(&server));
                return Ok(Lease(server));
            }
            if !lives || is_unused(&server) {
                server.end(self.config.limits.stop + self.config.limits.grace).await;
            } else {
                self.retire(&server);
            }
        }
        let server = boot(&self.config, &state, program, version).await.map_err(fault_of)?;
        let server = Arc::new(server);
        *current = Some(Arc::clone(&server));
        tokio::spawn(end_idle(Arc::downgrade(self), Arc::downgrade(&server)));
        Ok(Lease(server))
    }

    /// Whether a server is up or coming up.
    pub(crate) fn is_warm(&self) -> bool {
        // Whoever holds the lock is about to have one.
        self.current
            .try_lock()
            .map_or(true, |current| current.as_ref().is_some_and(|server| server.death().is_none()))
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
                    tokio::task::spawn_blocking(move || state.trees().recover()).await
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

    /// Ends the server, if there is one, with all its runs, and the one that retires.
    pub(crate) async fn shut_down(&self) {
        let at_most = self.config.limits.stop + self.config.limits.grace;
        let server = self.current.lock().await.take();
        let retiring = self.lock_retiring().take();
        if let Some(server) = server {
            server.end(at_most).await;
        }
        let Some(Retiring { server, mut death }) = retiring else { return };
        match server.upgrade() {
            Some(server) => server.end(at_most).await,
            // It is ending already.
            None => {
                let _ = tokio::time::timeout(at_most, death.wait_for(Option::is_some)).await;
            }
        }
    }

    /// Ends the server if it holds too much memory and nobody uses it.
    pub(crate) async fn tidy(&self) {
        let mut current = self.current.lock().await;
        if let Some(server) =
            current.take_if(|server| is_unused(server) && self.is_outgrown(server))
        {
            server.end(self.config.limits.stop + self.config.limits.grace).await;
        }
    }

    fn is_outgrown(&self, server: &Arc<Server>) -> bool {
        server.memory().is_some_and(|memory| memory > self.config.limits.memory)
    }

    /// Whether another server may take this one's place: nobody uses it, or somebody does who ends it
    /// afterwards, and no other one retires, so that there are never more than two.
    fn may_go(&self, server: &Arc<Server>) -> bool {
        let none_retires = || {
            let retiring = self.lock_retiring();
            retiring.as_ref().is_none_or(|retiring| retiring.death.borrow().is_some())
        };
        is_unused(server) || Arc::strong_count(server) > 1 && none_retires()
    }

    /// Lets the server finish what runs on it. The last one who has it ends it.
    fn retire(&self, server: &Arc<Server>) {
        let death = server.watch_death();
        *self.lock_retiring() = Some(Retiring { server: Arc::downgrade(server), death });
    }

    fn lock_retiring(&self) -> MutexGuard<'_, Option<Retiring>> {
        self.retiring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody but the pool has the server.
fn is_unused(server: &Arc<Server>) -> bool {
    Arc::strong_count(server) <= 1 && server.post().is_empty()
}

/// Ends the server when nobody has used it for a while.
async fn end_idle(pool: Weak<Pool>, server: Weak<Server>) {
    let mut seen = None;
    let mut since = Instant::now();
    loop {
        let Some(limits) = pool.upgrade().map(|pool| pool.config.limits.clone()) else { return };
        tokio::time::sleep(limits.idle / LOOKS).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut current = pool.current.lock().await;
        // Another one has taken its place, or none has.
        let Some(ours) = current.as_ref().filter(|ours| server.as_ptr() == Arc::as_ptr(ours))
        else {
            return;
        };
        let uses = pool.uses.load(Ordering::Relaxed);
        if !is_unused(ours) || seen != Some(uses) {
            (seen, since) = (Some(uses), Instant::now());
        } else if since.elapsed() >= limits.idle
            && let Some(idle) = current.take()
        {
            idle.end(limits.stop + limits.grace).await;
            return;
        }
    }
}

fn fault_of(error: BootError) -> AgentError {
    let retry = match &error {
        BootError::Start(StartError::Guard(_)) => Retry::Never,
        _ => Retry::Later,
    };
    fault::backend("start its server", retry, error)
}
