//! The runner: any program as kugetsu's coding agent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kugetsu_core::agent::{
    AgentCapabilities, AgentError, AgentInfo, AgentRun, AgentRunner, Conversation, Role, RunRequest,
};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::{AgentId, AgentSessionId};
use kugetsu_core::slot::Slot;
use kugetsu_guard::{Ended, Leftover, Plan, StartError, Started, Trees};
use tokio::sync::{OnceCell, mpsc};

use super::account::Account;
use super::config::CommandConfig;
use super::known::{Known, new_id};
use super::stopping::sides;
use super::turn::{Turn, WAITING};
use super::{backend, environment, io_fault, program};

/// Runs any program as an agent: it reads the message on its standard input, works in the run's
/// directory, and says on its standard output what it does.
///
/// # Promises, beside those of [`AgentRunner`]
///
/// * The message is on the program's standard input, byte for byte, and in no argument.
/// * Success is something said or done and then the program's own word, or its status 0 if it gave
///   none: see `docs/command-agents.md`, which says what each status means.
/// * A session is resumed only where it works, and only if a run has told of it.
/// * Of what the program writes, a line and a few events are kept in memory; of what it says on its
///   standard error, the last few kilobytes. A program that nobody reads waits.
/// * Before the first run of this process, whatever an earlier process left behind in
///   [`state`](CommandConfig::state) is ended.
///
/// Clones are one runner.
#[derive(Debug, Clone)]
pub struct CommandAgent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: CommandConfig,
    place: OnceCell<(Trees, Known)>,
    ended: Mutex<Vec<Ended>>,
}

impl CommandAgent {
    /// A runner; nothing is started and nothing is read yet.
    pub fn new(mut config: CommandConfig) -> Self {
        config.capabilities.answer = false;
        let inner = Inner { config, place: OnceCell::new(), ended: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Ends what earlier processes left behind, as the first run would, and tells what it was. Each
    /// is told once.
    pub async fn recover(&self) -> Result<Vec<Ended>, AgentError> {
        self.place().await?;
        Ok(std::mem::take(&mut self.inner.ended.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What earlier processes have left behind, without ending it. Nothing is made.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, AgentError> {
        let root = self.inner.config.state.clone();
        let look = move || match Trees::there(root)? {
            Some(trees) => trees.leftovers(),
            None => Ok(Vec::new()),
        };
        let left = tokio::task::spawn_blocking(look).await.map_err(io::Error::other).flatten();
        left.map_err(|error| {
            io_fault(self.id(), "look for what an earlier process left behind", error)
        })
    }

    /// The runner's directory, in which nothing is left of earlier processes.
    async fn place(&self) -> Result<&(Trees, Known), AgentError> {
        let config = &self.inner.config;
        self.inner
            .place
            .get_or_try_init(|| async {
                let root = config.state.clone();
                let open = move || {
                    let trees = Trees::open(root)?;
                    let known = Known::open(trees.root().join("sessions"))?;
                    let ended = trees.recover()?;
                    Ok::<_, io::Error>((trees, known, ended))
                };
                let opened = tokio::task::spawn_blocking(open).await;
                let opened = opened.map_err(io::Error::other).flatten();
                let (trees, known, ended) = opened.map_err(|error| {
                    let what = format!("open its directory {}", config.state.display());
                    io_fault(&config.id, &what, error)
                })?;
                self.inner.ended.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
                Ok((trees, known))
            })
            .await
    }

    fn program(&self) -> Result<PathBuf, AgentError> {
        let config = &self.inner.config;
        program::find(&config.program, config.environment.value_of("PATH").as_deref())
    }

    /// The session of a turn: the one that is resumed, or a new one's id for the program to take.
    fn session(
        &self,
        known: &Known,
        conversation: &Conversation,
        wanted: &Path,
        directory: &Path,
    ) -> Result<AgentSessionId, AgentError> {
        let found = |id: &AgentSessionId| {
            let found = known.directories(id);
            let found = found.map_err(|error| io_fault(self.id(), "look up a session", error))?;
            if found.is_empty() {
                return Err(AgentError::UnknownSession { session: id.clone() });
            }
            Ok(found)
        };
        match conversation {
            Conversation::Resume(id) => {
                let mut found = found(id)?;
                if found.iter().any(|found| found == directory) {
                    return Ok(id.clone());
                }
                let wanted = wanted.to_owned();
                return Err(AgentError::WrongDirectory { wanted, found: found.pop() });
            }
            Conversation::Fork(origin) => {
                found(origin)?;
            }
            _ => {}
        }
        let id = new_id().map_err(|error| io_fault(self.id(), "make an id", error))?;
        AgentSessionId::new(id)
            .map_err(|error| backend(self.id(), "make an id", Retry::Never, error))
    }

    fn plan(&self, program: PathBuf, directory: &Path, slots: &[Slot]) -> io::Result<Plan> {
        let config = &self.inner.config;
        let plan = Plan::new(config.id.to_string(), program, directory)
            .with_args(&config.args)
            .with_guard(config.guard.clone())
            .with_grace(config.grace);
        let plan = match &config.label {
            Some(label) => plan.with_label(label),
            None => plan,
        };
        slots.iter().filter_map(Slot::file).try_fold(plan, Plan::inheriting)
    }

    fn refuse_role(&self, role: Role) -> Result<(), AgentError> {
        let operation = match role {
            Role::Dev => return Ok(()),
            Role::Pm if self.inner.config.keeps_pm => return Ok(()),
            Role::Pm => "keep a PM to reading, and it is not said that its program does",
            _ => "have such a role",
        };
        Err(AgentError::Unsupported { who: self.id().to_string(), operation: operation.into() })
    }
}

#[async_trait]
impl AgentRunner for CommandAgent {
    fn id(&self) -> &AgentId {
        &self.inner.config.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        self.inner.config.capabilities
    }

    /// Looks for the program and does not start it: what it would do is not known.
    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        let config = &self.inner.config;
        let version = config.version.as_deref().unwrap_or("unknown");
        let info = AgentInfo::new(self.program()?.display().to_string(), version);
        Ok(match config.guard.resolve() {
            Ok(_) => info,
            Err(error) => info.with_trouble(error.to_string()),
        })
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(self.id(), self.capabilities())?;
        self.refuse_role(request.role)?;
        let directory = match request.directory.canonicalize() {
            Ok(directory) if directory.is_dir() => directory,
            _ => {
                let wanted = request.directory;
                return Err(AgentError::WrongDirectory { wanted, found: None });
            }
        };
        let program = self.program()?;
        let (trees, known) = self.place().await?;
        let session = self.session(known, &request.conversation, &request.directory, &directory)?;
        let config = &self.inner.config;
        let RunRequest { message, conversation, title, role, slots, .. } = request;
        let environment =
            environment::of(&config.environment, role, &conversation, &session, &title);
        let plan = self
            .plan(program, &directory, &slots)
            .map_err(|error| io_fault(self.id(), "hand on its slots", error))?
            .with_environment(environment)
            .with_input(message.into_bytes());
        let started = trees.start(plan).await.map_err(|error| match error {
            StartError::Guard(error) => AgentError::Missing {
                program: "the guard of its processes".into(),
                why: error.to_string(),
            },
            other => io_fault(self.id(), "start its program", io::Error::other(other)),
        })?;
        let Started { tree, stdout, stderr, .. } = started;
        let (tell, told) = mpsc::channel(WAITING);
        let (events, control, brake) = sides(self.id(), told);
        let turn = Turn {
            tree,
            account: Account::new(config.id.clone(), conversation, session),
            output: config.output,
            known: (config.capabilities.resume || config.capabilities.fork).then(|| known.clone()),
            directory,
            tell,
            slots,
            grace: config.grace,
            linger: config.linger,
        };
        tokio::spawn(turn.run(stdout, stderr, brake));
        Ok(AgentRun::new(Box::pin(events), Arc::new(control)))
    }
}
