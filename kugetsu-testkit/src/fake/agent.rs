mod tools;
mod turn;
mod world;

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use kugetsu_core::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentId, AgentInfo, AgentRun,
    AgentRunner, AgentSession, AgentSessionId, AgentSessions, Conversation, Failure,
    NewAgentSession, Retry, RunRequest, Stop,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use world::FakeRun;
use world::World;

/// An agent in the test's own process that does what its messages tell it to, in the language of
/// the [scripted model](crate::model): it writes real files, runs real commands in the run's
/// directory, waits at gates, fails and hangs.
///
/// Clones share the sessions, the gates and the record of runs. It has all capabilities but
/// answering, unless told otherwise. Where the real ones are lenient it is strict: a second run in a
/// session that is busy is refused.
#[derive(Debug, Clone)]
pub struct FakeAgent {
    id: AgentId,
    capabilities: AgentCapabilities,
    has_sessions: bool,
    trouble: Option<String>,
    world: Arc<World>,
}

impl Default for FakeAgent {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeAgent {
    /// An agent that nothing has been said to.
    #[allow(clippy::missing_panics_doc)]
    pub fn new() -> Self {
        let Ok(id) = AgentId::new("fake") else { unreachable!("`fake` is a well-formed name") };
        Self {
            id,
            capabilities: AgentCapabilities::default().with_resume().with_fork(),
            has_sessions: true,
            trouble: None,
            world: World::new(),
        }
    }

    /// The same agent under another id.
    pub fn with_id(mut self, id: AgentId) -> Self {
        self.id = id;
        self
    }

    /// The same agent, able to do this and no more.
    pub fn with_capabilities(mut self, capabilities: AgentCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same agent without [sessions outside of a run](AgentRunner::sessions).
    pub fn without_sessions(mut self) -> Self {
        self.has_sessions = false;
        self
    }

    /// The same agent, which could not run now, and says why when it is asked or started.
    pub fn with_trouble(mut self, trouble: impl Into<String>) -> Self {
        self.trouble = Some(trouble.into());
        self
    }

    /// Lets the next turn that begins end at once with this failure, and so on for each call.
    pub fn fail_next(&self, failure: Failure) {
        self.world.fail_next(failure);
    }

    /// Opens a gate: whoever waits at `gate NAME` goes on, now and from now on.
    pub fn open(&self, gate: &str) {
        self.world.voice.open(gate);
    }

    /// All runs so far, in the order in which they were started.
    pub fn runs(&self) -> Vec<FakeRun> {
        self.world.runs()
    }

    /// How many turns are being worked on now.
    pub fn at_work(&self) -> usize {
        self.world.at_work()
    }

    /// The largest number of turns that were ever worked on at once.
    pub fn most_at_work(&self) -> usize {
        self.world.most_at_work()
    }

    /// Waits, without a limit, until exactly so many turns are being worked on.
    pub async fn until_at_work(&self, turns: usize) {
        self.world.until(|_, at_work| at_work == turns).await;
    }

    /// Waits, without a limit, until so many runs have been started in all, and returns them.
    pub async fn until_started(&self, runs: usize) -> Vec<FakeRun> {
        self.world.until(|all, _| all.len() >= runs).await;
        self.runs()
    }

    /// The session that the run is a turn of, and that nobody else works in.
    fn session(&self, request: &RunRequest) -> Result<AgentSessionId, AgentError> {
        let new = || NewAgentSession::new(&request.directory, &request.title);
        match &request.conversation {
            Conversation::Resume(id) => {
                let found = self.world.directory_of(id)?;
                if found != request.directory {
                    let wanted = request.directory.clone();
                    return Err(AgentError::WrongDirectory { wanted, found: Some(found) });
                }
                Ok(id.clone())
            }
            Conversation::Fork(from) => Ok(self.world.fork(from, &new())?.id),
            Conversation::Fresh => Ok(self.world.create(&new())?.id),
            other => Err(AgentError::Unsupported {
                who: self.id.to_string(),
                operation: format!("begin {other:?}"),
            }),
        }
    }
}

#[async_trait]
impl AgentRunner for FakeAgent {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        self.capabilities
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        let info = AgentInfo::new("fake", env!("CARGO_PKG_VERSION"));
        Ok(match &self.trouble {
            Some(trouble) => info.with_trouble(trouble),
            None => info,
        })
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(&self.id, self.capabilities)?;
        if let Some(trouble) = &self.trouble {
            return Err(AgentError::Missing { program: "fake".into(), why: trouble.clone() });
        }
        if !request.directory.is_dir() {
            let wanted = request.directory;
            return Err(AgentError::WrongDirectory { wanted, found: None });
        }
        let session = self.session(&request)?;
        let Some(at_work) = self.world.begin(&session, &request) else {
            return Err(AgentError::Backend {
                who: self.id.to_string(),
                operation: format!("begin a turn in {session}"),
                retry: Retry::Never,
                source: "somebody works in it already".into(),
            });
        };
        let (told, events) = mpsc::unbounded_channel();
        let control = Arc::new(Control {
            who: self.id.to_string(),
            answers: self.capabilities.answer.then(Answers::default),
            stop: CancellationToken::new(),
            ended: CancellationToken::new(),
        });
        let turn = turn::Turn::new(Arc::clone(&self.world), request, session, told);
        tokio::spawn(turn.carry_out(at_work, Arc::clone(&control)));
        let events = Events { events, _stop: control.stop.clone().drop_guard() };
        Ok(AgentRun::new(Box::pin(events), control))
    }

    fn sessions(&self) -> Option<&dyn AgentSessions> {
        self.has_sessions.then_some(self as &dyn AgentSessions)
    }
}

#[async_trait]
impl AgentSessions for FakeAgent {
    async fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError> {
        self.world.create(new)
    }

    async fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError> {
        self.world.fork(from, new)
    }

    async fn describe(&self, id: &AgentSessionId) -> Result<Option<AgentSession>, AgentError> {
        Ok(self.world.describe(id))
    }

    async fn delete(&self, id: &AgentSessionId) -> Result<(), AgentError> {
        self.world.delete(id);
        Ok(())
    }
}

/// The way to stop one run, and to answer what it asks.
struct Control {
    who: String,
    /// Who waits for an answer; `None` if the agent takes none.
    answers: Option<Answers>,
    stop: CancellationToken,
    ended: CancellationToken,
}

type Answers = Mutex<HashMap<String, oneshot::Sender<String>>>;

impl Control {
    /// Waits for the answer to a question, if one is taken.
    fn asked(&self, question: &str) -> Option<oneshot::Receiver<String>> {
        let (answer, answered) = oneshot::channel();
        let mut answers = self.answers.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(question.to_owned(), answer);
        Some(answered)
    }
}

#[async_trait]
impl AgentControl for Control {
    async fn stop(&self, _how: Stop) -> Result<(), AgentError> {
        self.stop.cancel();
        self.ended.cancelled().await;
        Ok(())
    }

    async fn answer(&self, question: &str, answer: &str) -> Result<(), AgentError> {
        let unsupported =
            |operation: String| Err(AgentError::Unsupported { who: self.who.clone(), operation });
        let Some(answers) = &self.answers else { return unsupported("take an answer".into()) };
        let asked = answers.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        match asked.map(|asked| asked.send(answer.to_owned())) {
            Some(Ok(())) => Ok(()),
            _ => unsupported(format!("take an answer to {question:?}, which it does not ask")),
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("who", &self.who).finish_non_exhaustive()
    }
}

/// What the run tells. Dropping it stops the run.
struct Events {
    events: mpsc::UnboundedReceiver<Result<AgentEvent, AgentError>>,
    _stop: DropGuard,
}

impl Stream for Events {
    type Item = Result<AgentEvent, AgentError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(cx)
    }
}
