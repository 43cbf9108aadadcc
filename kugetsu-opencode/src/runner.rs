//! The runner: opencode as kugetsu's coding agent.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::agent::{
    AgentCapabilities, AgentError, AgentInfo, AgentRun, AgentRunner, AgentSession, AgentSessions,
    Conversation, NewAgentSession, RunRequest,
};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentId;
use kugetsu_guard::shell::READERS;
use kugetsu_guard::{Ended, Leftover};
use tokio::sync::{OnceCell, Semaphore};

use crate::config::{Engine, OpencodeConfig};
use crate::server::{Lease, Model, Pool, PostOffice};
use crate::state::State;
use crate::{fault, probe, run, solo};

/// Runs opencode.
///
/// # Promises, beside those of [`AgentRunner`]
///
/// * The agent works in the run's directory: a session's own directory is looked up before the
///   first word is said to it, and a session that works elsewhere is not spoken to.
/// * Success is opencode's own terminal word about our own message, with something said or done:
///   never an exit code, never the absence of an error.
/// * What opencode asks is refused within seconds, and the turn then fails for good.
/// * Before the first agent of this process starts, whatever an earlier process left behind in
///   [`state`](OpencodeConfig::state) is ended.
///
/// Clones share one server. When the last one is gone, the server ends, and all it has started.
#[derive(Debug, Clone)]
pub struct OpencodeRunner {
    inner: Arc<Inner>,
}

/// A short command takes hundreds of megabytes and a processor for a second.
const COMMANDS: usize = 2;

#[derive(Debug)]
struct Inner {
    id: AgentId,
    config: Arc<OpencodeConfig>,
    pool: Arc<Pool>,
    found: OnceCell<(PathBuf, AgentInfo)>,
    /// The sessions that runs without a server are in.
    post: Arc<PostOffice>,
    commands: Semaphore,
    waiting: solo::Waiting,
}

impl OpencodeRunner {
    /// A runner; nothing is started and nothing is read yet.
    ///
    /// Refuses a model whose name is not `provider/model`.
    pub fn new(config: OpencodeConfig) -> Result<Self, AgentError> {
        if let Some(model) = config.model.as_deref().filter(|model| Model::of(model).is_none()) {
            let why = format!("{model:?} is not `provider/model`");
            return Err(fault::backend("use the model", Retry::Never, why));
        }
        let id = AgentId::new(fault::WHO)
            .map_err(|error| fault::backend("name itself", Retry::Never, error))?;
        let config = Arc::new(with_own_rules(config));
        let pool = Arc::new(Pool::new(Arc::clone(&config)));
        Ok(Self {
            inner: Arc::new(Inner {
                id,
                config,
                pool,
                found: OnceCell::new(),
                post: Arc::default(),
                commands: Semaphore::new(COMMANDS),
                waiting: solo::Waiting::default(),
            }),
        })
    }

    /// Ends the server and every run, and returns when nothing of them is left. A later run starts
    /// another server.
    pub async fn shut_down(&self) {
        self.inner.pool.shut_down().await;
    }

    /// What had to be ended because an earlier process left it behind. Each is told once; nothing
    /// is, before the first run.
    pub fn take_ended(&self) -> Vec<Ended> {
        self.inner.pool.take_ended()
    }

    /// Ends what earlier processes left behind, as the first run would, and tells what it was.
    pub async fn recover(&self) -> Result<Vec<Ended>, AgentError> {
        self.state().await?;
        Ok(self.take_ended())
    }

    /// What earlier processes have left behind, without ending it; [`recover`](Self::recover) ends
    /// it. Nothing is started and nothing is changed.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, AgentError> {
        let Some(state) = self.there()? else { return Ok(Vec::new()) };
        let left = tokio::task::spawn_blocking(move || state.trees().leftovers()).await;
        left.map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| fault::io("look for what an earlier process left behind", error))
    }

    pub(crate) fn config(&self) -> &OpencodeConfig {
        &self.inner.config
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }

    pub(crate) async fn lease(&self) -> Result<Lease, AgentError> {
        let program = self.program().await?;
        self.inner.pool.lease(&program, &self.version().await?).await
    }

    pub(crate) async fn state(&self) -> Result<State, AgentError> {
        self.inner.pool.state().await
    }

    /// The program to start, if it is fit.
    pub(crate) async fn program(&self) -> Result<PathBuf, AgentError> {
        let (program, info) = self.found().await?;
        match &info.trouble {
            None => Ok(program.clone()),
            Some(trouble) => Err(AgentError::Missing {
                program: program.display().to_string(),
                why: trouble.clone(),
            }),
        }
    }

    /// The version that the program told.
    pub(crate) async fn version(&self) -> Result<String, AgentError> {
        Ok(self.found().await?.1.version.clone())
    }

    /// Who is in which session, of the runs without a server.
    pub(crate) fn post(&self) -> &Arc<PostOffice> {
        &self.inner.post
    }

    /// Who is running a short command; there are only so many at once.
    pub(crate) fn commands(&self) -> &Semaphore {
        &self.inner.commands
    }

    /// Who waits for what a short command tells.
    pub(crate) fn waiting(&self) -> &solo::Waiting {
        &self.inner.waiting
    }

    pub(crate) fn guard(&self) -> Result<PathBuf, AgentError> {
        let guard = self.config().guard.resolve();
        guard.map_err(|error| AgentError::Missing {
            program: "the guard of its processes".into(),
            why: error.to_string(),
        })
    }

    /// Looks once; a program that is missing is looked for again each time.
    async fn found(&self) -> Result<&(PathBuf, AgentInfo), AgentError> {
        self.inner
            .found
            .get_or_try_init(|| async {
                let program = probe::find(&self.config().program)?;
                let version = probe::version(&program).await?;
                let info = probe::info(&program, &version);
                Ok((program, info))
            })
            .await
    }

    /// The session that the request speaks of, in its directory.
    async fn session_for(
        &self,
        server: &Lease,
        request: &RunRequest,
        directory: &std::path::Path,
    ) -> Result<AgentSession, AgentError> {
        let new = NewAgentSession::new(directory, &*request.title).with_role(request.role);
        match &request.conversation {
            Conversation::Fresh => self.create_in(server, &new, directory).await,
            Conversation::Resume(id) => self.resume_in(server, id, request.role, directory).await,
            Conversation::Fork(from) => self.fork_into(server, from, &new, directory).await,
            _ => Err(AgentError::Unsupported {
                who: fault::WHO.into(),
                operation: "hold such a conversation".into(),
            }),
        }
    }
}

/// What is allowed because we provide it ourselves.
fn with_own_rules(mut config: OpencodeConfig) -> OpencodeConfig {
    let mut rules = config.rules;
    for server in config.tools.keys() {
        rules = rules.with_tools(server);
    }
    if let Some(program) = &config.narrow_shell {
        let own = program.file_name().map(|name| name.to_string_lossy().into_owned());
        rules = rules.with_commands(own.as_deref().into_iter().chain(["pwd"]).chain(READERS));
    }
    config.rules = rules;
    config
}

#[async_trait]
impl AgentRunner for OpencodeRunner {
    fn id(&self) -> &AgentId {
        &self.inner.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities::default().with_resume().with_fork()
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        let (_, info) = self.found().await?;
        if let (None, Err(error)) = (&info.trouble, self.guard()) {
            return Ok(info.clone().with_trouble(error.to_string()));
        }
        Ok(info.clone())
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(self.id(), self.capabilities())?;
        let directory = self.trusted(&request.directory)?;
        if self.config().engine == Engine::Run {
            let session = solo::session_for(self, &request, &directory).await?;
            return solo::start(self, session, directory, request).await;
        }
        let server = self.lease().await?;
        let session = self.session_for(&server, &request, &directory).await?;
        run::start(self, server, session, directory, request).await
    }

    fn sessions(&self) -> Option<&dyn AgentSessions> {
        Some(self)
    }

    async fn shut_down(&self) {
        Self::shut_down(self).await;
    }

    fn is_warm(&self) -> bool {
        self.config().engine == Engine::Server && self.inner.pool.is_warm()
    }
}
