//! The agent runner of `docs/writing-a-backend.md`.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use kugetsu::core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSessionId, Failure, Finish, Role, RunRequest, Stop,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

type Doing = Pin<Box<dyn Future<Output = Result<Vec<AgentEvent>, Failure>> + Send>>;

/// What the agent does about a message in a directory, and tells.
pub type Mind = Arc<dyn Fn(PathBuf, String) -> Doing + Send + Sync>;

/// An agent in this process.
#[derive(Clone)]
pub struct Moonlight {
    id: AgentId,
    mind: Mind,
    turns: Arc<AtomicU64>,
}

impl Moonlight {
    pub fn new(id: AgentId, mind: Mind) -> Self {
        Self { id, mind, turns: Arc::default() }
    }

    fn unsupported(&self, operation: &str) -> AgentError {
        AgentError::Unsupported { who: self.id.to_string(), operation: operation.into() }
    }
}

impl fmt::Debug for Moonlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moonlight").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl AgentRunner for Moonlight {
    fn id(&self) -> &AgentId {
        &self.id
    }

    // It remembers nothing, so it can neither resume nor fork: each message begins anew.
    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new(self.id.as_str(), env!("CARGO_PKG_VERSION")))
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(&self.id, self.capabilities())?;
        if request.role == Role::Pm {
            return Err(self.unsupported("be the PM, since nothing holds it to reading"));
        }
        if !request.directory.is_dir() {
            return Err(AgentError::WrongDirectory { wanted: request.directory, found: None });
        }
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        let session = AgentSessionId::new(format!("turn-{}-{number}", std::process::id()))
            .map_err(|_| self.unsupported("name its session"))?;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (tell, told) = mpsc::unbounded_channel();
        let doing = (self.mind)(request.directory.clone(), request.message.clone());
        tokio::spawn(turn(doing, request, session, tell, stop.clone(), ended.clone()));
        // Whoever drops the run drops its events, and that stops the turn.
        let dropped = stop.clone().drop_guard();
        let events = UnboundedReceiverStream::new(told).map(move |event| {
            let _ = &dropped;
            Ok(event)
        });
        Ok(AgentRun::new(Box::pin(events), Arc::new(Control { stop, ended })))
    }
}

async fn turn(
    doing: Doing,
    request: RunRequest,
    session: AgentSessionId,
    told: mpsc::UnboundedSender<AgentEvent>,
    stop: CancellationToken,
    ended: CancellationToken,
) {
    // Nobody listens any more when the run was dropped, and then it is stopped as well.
    let tell = |event| drop(told.send(event));
    tell(AgentEvent::SessionStarted { session });
    let finish = tokio::select! {
        () = stop.cancelled() => Finish::Stopped,
        done = doing => match done {
            Ok(events) if events.is_empty() => Finish::Failed {
                failure: Failure::passing("the agent neither said nor did anything"),
            },
            Ok(events) => {
                events.into_iter().for_each(tell);
                Finish::Done
            }
            Err(failure) => Finish::Failed { failure },
        },
    };
    // Whoever hears of the end may go on at once with these slots, so they are let go before.
    drop(request);
    tell(AgentEvent::Finished(finish));
    ended.cancel();
}

#[derive(Debug)]
struct Control {
    stop: CancellationToken,
    ended: CancellationToken,
}

#[async_trait]
impl AgentControl for Control {
    // It returns when the turn has ended, however it did.
    async fn stop(&self, _how: Stop) -> Result<(), AgentError> {
        self.stop.cancel();
        self.ended.cancelled().await;
        Ok(())
    }
}
