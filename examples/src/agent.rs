//! An agent of one's own: a model decides, and the agent does it in the worktree.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use kugetsu::core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSessionId, Failure, Finish, Role, RunRequest, Stop,
};
use kugetsu::queue::line::rules::DELEGATOR;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::{StreamExt as _, wrappers::UnboundedReceiverStream};
use tokio_util::sync::CancellationToken;

/// Whoever decides what the agent does: here a few lines of Rust, elsewhere a language model.
#[async_trait]
pub trait Model: fmt::Debug + Send + Sync + 'static {
    /// What to do about the message, in this order. The future may be dropped at any time.
    async fn decide(&self, message: &str) -> Result<Vec<Deed>, Failure>;
}

/// Something that the agent does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It says this.
    Say(String),
    /// It writes this text to this file in its worktree.
    Write { file: String, text: String },
}

/// An agent around a model. It works in this process, so that nothing can be left of it.
#[derive(Debug, Clone)]
pub struct ModelAgent {
    id: AgentId,
    model: Arc<dyn Model>,
    turns: Arc<AtomicU64>,
}

impl ModelAgent {
    /// An agent of this name, which does what the model decides.
    pub fn new(id: AgentId, model: impl Model) -> Self {
        Self { id, model: Arc::new(model), turns: Arc::default() }
    }

    fn unsupported(&self, operation: &str) -> AgentError {
        AgentError::Unsupported { who: self.id.to_string(), operation: operation.into() }
    }
}

#[async_trait]
impl AgentRunner for ModelAgent {
    fn id(&self) -> &AgentId {
        &self.id
    }

    // It remembers nothing: each turn is a fresh conversation.
    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        Ok(AgentInfo::new(self.id.as_str(), env!("CARGO_PKG_VERSION")))
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(&self.id, self.capabilities())?;
        if request.role == Role::Pm {
            return Err(self.unsupported("be the PM, which may write no file"));
        }
        if !request.directory.is_dir() {
            return Err(AgentError::WrongDirectory { wanted: request.directory, found: None });
        }
        let number = self.turns.fetch_add(1, Ordering::Relaxed);
        let session = AgentSessionId::new(format!("turn-{}-{number}", std::process::id()))
            .map_err(|_| self.unsupported("name its session"))?;

        let (told, events) = unbounded_channel();
        let control = Arc::new(Control::default());
        tokio::spawn(turn(Arc::clone(&self.model), request, session, told, Arc::clone(&control)));
        // Whoever drops the run drops its events, and that stops the turn.
        let stop = control.stop.clone().drop_guard();
        let events = UnboundedReceiverStream::new(events).map(move |event| {
            let _ = &stop;
            Ok(event)
        });
        Ok(AgentRun::new(Box::pin(events), control))
    }
}

/// One turn, from its session to its one end.
async fn turn(
    model: Arc<dyn Model>,
    request: RunRequest,
    session: AgentSessionId,
    told: UnboundedSender<AgentEvent>,
    control: Arc<Control>,
) {
    // Nobody listens any more when the run was dropped, and then it is stopped as well.
    let tell = |event| drop(told.send(event));
    tell(AgentEvent::SessionStarted { session });
    let finish = tokio::select! {
        () = control.stop.cancelled() => Finish::Stopped,
        done = work(&*model, &request, &tell) => match done {
            Ok(()) => Finish::Done,
            Err(failure) => Finish::Failed { failure },
        },
    };
    // Whoever hears of the end may go on at once, with these slots.
    drop(request);
    tell(AgentEvent::Finished(finish));
    control.ended.cancel();
}

async fn work(
    model: &dyn Model,
    request: &RunRequest,
    tell: &(dyn Fn(AgentEvent) + Sync),
) -> Result<(), Failure> {
    let deeds = model.decide(&request.message).await?;
    if deeds.is_empty() {
        return Err(Failure::passing("the agent ended its turn without saying or doing anything"));
    }
    for (number, deed) in deeds.into_iter().enumerate() {
        match deed {
            Deed::Say(text) => tell(AgentEvent::Message { text }),
            Deed::Write { file, text } => {
                let (call, tool) = (format!("call-{number}"), "write".to_owned());
                // A model may ask for anything. Nobody is there to grant what leaves the worktree.
                let Some(path) = inside(&request.directory, &file) else {
                    let text = format!("to write {file}, which is not in the worktree");
                    tell(AgentEvent::Asked { question: call, text, refused: true });
                    continue;
                };
                tell(AgentEvent::ToolStarted {
                    call: call.clone(),
                    tool: tool.clone(),
                    title: file.clone(),
                });
                let (ok, summary) = match write(&path, &text).await {
                    Ok(()) => (true, format!("wrote {file}")),
                    Err(error) => (false, format!("could not write {file}: {error}")),
                };
                tell(AgentEvent::ToolEnded { call, tool, ok, summary });
            }
        }
    }
    Ok(())
}

async fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    tokio::fs::write(path, text).await
}

/// The file's path, if it is in the directory and no symbolic link leads out of it.
fn inside(directory: &Path, file: &str) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    for part in Path::new(file).components() {
        let Component::Normal(part) = part else { return None };
        path.push(part);
        if path.is_symlink() || part == ".git" {
            return None;
        }
    }
    (path != directory).then_some(path)
}

/// Stops a turn. The engine also drops the run if it loses its lease.
#[derive(Debug, Default)]
struct Control {
    stop: CancellationToken,
    ended: CancellationToken,
}

#[async_trait]
impl AgentControl for Control {
    async fn stop(&self, _how: Stop) -> Result<(), AgentError> {
        self.stop.cancel();
        self.ended.cancelled().await;
        Ok(())
    }
}

/// A model that does one thing: it writes down how many words it was told.
#[derive(Debug)]
pub struct Counter;

#[async_trait]
impl Model for Counter {
    async fn decide(&self, message: &str) -> Result<Vec<Deed>, Failure> {
        // What people said stands behind the rules that every agent is told.
        let (_, asked) = message.split_once(DELEGATOR).unwrap_or(("", message));
        let count = asked.split_whitespace().count();
        Ok(vec![
            Deed::Write { file: "WORDS.txt".into(), text: format!("{count}\n") },
            Deed::Say(format!("I was told {count} words.")),
        ])
    }
}
