//! The runner: any agent that speaks the protocol as kugetsu's coding agent.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kugetsu_core::agent::{
    AgentCapabilities, AgentError, AgentInfo, AgentRun, AgentRunner, Role, RunRequest,
};
use kugetsu_core::ids::AgentId;
use kugetsu_guard::{Ended, Leftover, Trees};
use tokio::sync::OnceCell;

use crate::config::AcpConfig;
use crate::fault::Who;
use crate::process::{Process, Purpose};
use crate::records::Records;
use crate::talk::Abilities;
use crate::{program, run, sessions};

/// Runs an agent that speaks the Agent Client Protocol over its standard streams.
///
/// # Promises, beside those of [`AgentRunner`]
///
/// * Each run has a process of the agent's own, which works in the run's directory, holds the run's
///   slots, and is gone with all that it has started before the run's last event is told.
/// * A session is resumed only in the directory in which it was made, by what the runner remembers
///   and by what the agent lists; a fork is spoken to only if the agent lists it in the run's
///   directory.
/// * One session is in one run at a time, over all processes that share
///   [`state`](AcpConfig::state).
/// * Whatever the agent asks is answered at once, by [`Permissions`](crate::Permissions). A turn
///   that ends with a refusal fails for good; one in which the agent then goes on does not.
/// * Success is the agent's own word that its turn is over, with something said or done.
/// * An agent that says nothing, too much, or what is no message ends in an error that names its
///   program and the end of what it said on its standard error, within the
///   [limits](AcpConfig::limits).
/// * Before the first agent of this process starts, whatever an earlier process left behind in
///   [`state`](AcpConfig::state) is ended.
///
/// # What it can
///
/// What an agent can do is known when it has been started once: [`capabilities`] tells what it said
/// last, to this process or an earlier one, with the same command. Before that it tells what most
/// agents can, which is to resume, and what [`forks`](AcpConfig::forks) hopes for; a run that turns
/// out to ask for more is then refused as [`AgentError::Unsupported`] before anything is said.
/// [`probe`](AgentRunner::probe) starts the agent, and so makes it known.
///
/// [`capabilities`]: AgentRunner::capabilities
#[derive(Debug, Clone)]
pub struct AcpRunner {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: AcpConfig,
    who: Who,
    trees: OnceCell<Trees>,
    known: Mutex<Option<Abilities>>,
    ended: Mutex<Vec<Ended>>,
}

impl AcpRunner {
    /// A runner; nothing is started yet, and nothing but what an earlier one has learned is read.
    pub fn new(config: AcpConfig) -> Self {
        let who = Who(config.id.to_string());
        let known = Records::at(&config.state).abilities(&config.command);
        let inner = Inner {
            config,
            who,
            trees: OnceCell::new(),
            known: Mutex::new(known),
            ended: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Ends what earlier processes left behind, as the first run would, and tells what it was.
    pub async fn recover(&self) -> Result<Vec<Ended>, AgentError> {
        self.trees().await?;
        Ok(self.take_ended())
    }

    /// What had to be ended because an earlier process left it behind. Each is told once; nothing
    /// is, before the first run.
    pub fn take_ended(&self) -> Vec<Ended> {
        std::mem::take(&mut *self.inner.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What earlier processes have left behind, without ending it; [`recover`](Self::recover) ends
    /// it. Nothing is started and nothing is changed.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, AgentError> {
        let state = self.config().state.clone();
        let look = move || match Trees::there(state)? {
            Some(trees) => trees.leftovers(),
            None => Ok(Vec::new()),
        };
        blocking(look)
            .await
            .map_err(|error| self.who().io("look for what an earlier process left behind", error))
    }

    pub(crate) fn config(&self) -> &AcpConfig {
        &self.inner.config
    }

    pub(crate) fn who(&self) -> &Who {
        &self.inner.who
    }

    /// The records of process trees; what was left over has been ended.
    async fn trees(&self) -> Result<&Trees, AgentError> {
        let open = || async {
            let state = self.config().state.clone();
            let (trees, ended) = blocking(move || {
                let trees = Trees::open(state)?;
                let ended = trees.recover()?;
                Ok((trees, ended))
            })
            .await
            .map_err(|error| self.who().io("open its directory", error))?;
            self.inner.ended.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
            Ok(trees)
        };
        self.inner.trees.get_or_try_init(open).await
    }

    async fn start_process(&self, purpose: Purpose<'_>) -> Result<Process, AgentError> {
        let trees = self.trees().await?;
        let records = Records::at(trees.root());
        // At its very first start an agent makes what it needs, and some trip over another that does
        // the same.
        let first = if self.is_known() {
            None
        } else {
            let first = records.first_start(self.config().limits.boot).await;
            first.map_err(|error| self.who().io("wait for its first start", error))?
        };
        let process = Process::start(self.config(), trees, self.who(), purpose).await?;
        self.learn(&records, &process.can);
        drop(first);
        Ok(process)
    }

    fn is_known(&self) -> bool {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn learn(&self, records: &Records, can: &Abilities) {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(can) {
            // Should this fail, the next process learns it by itself.
            let _ = records.learn(&self.config().command, can);
            *known = Some(can.clone());
        }
    }

    fn capabilities_of(&self, can: &Abilities) -> AgentCapabilities {
        let mut all = AgentCapabilities::default();
        all.resume = can.resume || can.load;
        all.fork = self.config().forks && can.fork && can.list;
        all
    }
}

#[async_trait]
impl AgentRunner for AcpRunner {
    fn id(&self) -> &AgentId {
        &self.inner.config.id
    }

    fn capabilities(&self) -> AgentCapabilities {
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(can) = &*known {
            return self.capabilities_of(can);
        }
        let mut hoped = AgentCapabilities::default().with_resume();
        hoped.fork = self.config().forks;
        hoped
    }

    async fn probe(&self) -> Result<AgentInfo, AgentError> {
        let found = program::find(self.config())?.display().to_string();
        let root = self.trees().await?.root().to_owned();
        let purpose = Purpose { what: "probe", directory: &root, slots: &[], lock: None };
        let process = self.start_process(purpose).await?;
        let Abilities { name, version, .. } = process.can.clone();
        process.dismiss().await;
        let told = format!("{name} {version}");
        let version = if told.trim().is_empty() { "of no known version" } else { told.trim() };
        Ok(AgentInfo::new(found, crate::text::cut(version, 80)))
    }

    async fn start(&self, request: RunRequest) -> Result<AgentRun, AgentError> {
        request.check(self.id(), self.capabilities())?;
        if request.role != Role::Dev && !self.config().trusted_as_pm {
            let operation =
                "keep the PM's role, since nothing could hold it to reading over this protocol";
            return Err(self.who().unsupported(operation));
        }
        let directory = sessions::real(&request.directory)?;
        let root = self.trees().await?.root();
        let records =
            Records::open(root).map_err(|error| self.who().io("open its directory", error))?;
        let before = sessions::before(self, &records, &request, &directory).await?;
        let purpose = Purpose {
            what: "run",
            directory: &directory,
            slots: &request.slots,
            lock: before.lock(),
        };
        let process = self.start_process(purpose).await?;
        // What it can do may not have been known when it was asked for.
        if let Err(error) = request.check(self.id(), self.capabilities_of(&process.can)) {
            process.dismiss().await;
            return Err(error);
        }
        let ready = sessions::ready(self, &records, process, before, &request, &directory).await?;
        let RunRequest { message, slots, .. } = request;
        let who = self.who().clone();
        Ok(run::start(ready, message, slots, records, &self.config().limits, who))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
