//! A plugin, whichever of its processes answers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::Retry;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::PluginConfig;
use crate::error::{PluginError, Said};
use crate::protocol::{
    ErrorData, Initialize, InitializeParams, Kinds, METHOD_NOT_FOUND, Method, Nothing, PROTOCOL,
    ShutDown, VERSION,
};
use crate::rpc::{CallError, Connection};

/// How long a plugin has to say who it is, and to take its leave.
const TO_BEGIN: Duration = Duration::from_mins(1);
const TO_TAKE_LEAVE: Duration = Duration::from_secs(5);

/// A program that speaks `kugetsu.plugin/1`. Clones share it.
///
/// It is started by the first request, and again by the next one after it has ended in whatever way,
/// though not more often than its [configuration](PluginConfig::with_starts) allows. Any number of
/// requests may be made at once. Dropping the last clone ends it with all that it has started, as
/// does [`shut_down`](Self::shut_down), which returns when it has ended.
#[derive(Clone)]
pub struct Plugin(Arc<Shared>);

struct Shared {
    config: PluginConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// When it was started, within the time in which that is counted.
    starts: VecDeque<Instant>,
    /// What became of it last.
    last: Option<PluginError>,
}

#[derive(Clone)]
struct Running {
    connection: Arc<Connection>,
    about: PluginInfo,
}

/// Who a plugin is, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginInfo {
    /// Its name, for people.
    pub name: String,
    /// Its version, for people; empty if it told none.
    pub version: String,
    kinds: Kinds,
}

impl PluginInfo {
    fn of(name: &str, version: &str, kinds: Kinds) -> Self {
        // What people see has no control characters, and an end.
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect();
        Self { name: plain(name), version: plain(version), kinds }
    }

    /// Whether it makes worktrees.
    pub fn makes_worktrees(&self) -> bool {
        self.kinds.worktrees.is_some()
    }

    /// Whether it finds what dead processes have left of worktrees.
    pub fn recovers(&self) -> bool {
        self.kinds.worktrees.is_some_and(|can| can.recover)
    }

    /// Whether it is a tracker.
    pub fn is_tracker(&self) -> bool {
        self.kinds.tracker.is_some()
    }

    /// Whether it knows pull requests.
    pub fn is_forge(&self) -> bool {
        self.kinds.tracker.is_some_and(|can| can.forge)
    }

    fn kinds(&self) -> String {
        let all =
            [("a worktree provider", self.makes_worktrees()), ("a tracker", self.is_tracker())];
        let said: Vec<_> = all.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        if said.is_empty() { "nothing that is known here".into() } else { said.join(" and ") }
    }
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The plugin says so.
    Refused(Refused),
    /// The plugin failed.
    Plugin(PluginError),
}

/// What a plugin says that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) data: ErrorData,
    /// Whether it does not know the method.
    pub(crate) unsupported: bool,
}

impl Refused {
    pub(crate) fn kind(&self) -> &str {
        if self.unsupported { "unsupported" } else { self.data.kind.as_deref().unwrap_or_default() }
    }

    pub(crate) fn retry(&self) -> Retry {
        self.data.retry.unwrap_or(Retry::Later)
    }
}

impl Plugin {
    /// The plugin of this configuration. Nothing is started yet.
    pub fn new(config: PluginConfig) -> Self {
        Self(Arc::new(Shared { config, state: Mutex::default() }))
    }

    /// The name that it was given here.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// Who it is. Starts it if it is not running.
    pub async fn info(&self) -> Result<PluginInfo, PluginError> {
        Ok(self.running().await?.about)
    }

    /// Asks it to end, and returns when it has ended, with all that it has started. What it is asked
    /// meanwhile fails; what it is asked later starts it again.
    pub async fn shut_down(&self) {
        let running = self.0.state.lock().await.running.take();
        let Some(Running { connection, .. }) = running else { return };
        if connection.is_open() {
            let leave = connection.call(ShutDown::NAME, &Nothing {}, TO_TAKE_LEAVE);
            // One that cannot say goodbye ends when its standard input does.
            let _ = timeout(TO_TAKE_LEAVE, leave).await;
        }
        connection.close().await;
    }

    /// Where kugetsu keeps what is the plugin's.
    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.0.config.directory
    }

    /// What is said of it in errors.
    pub(crate) fn who(&self) -> String {
        format!("the plugin {}", self.name())
    }

    /// The plugin as this kind of backend.
    pub(crate) async fn as_kind(
        &self,
        wanted: &'static str,
        is: fn(&PluginInfo) -> bool,
    ) -> Result<PluginInfo, Failed> {
        let info = self.info().await.map_err(Failed::Plugin)?;
        if is(&info) {
            return Ok(info);
        }
        let (plugin, kinds) = (self.name().to_owned(), info.kinds());
        Err(Failed::Plugin(PluginError::OtherKind { plugin, wanted, kinds }))
    }

    /// Asks it something.
    pub(crate) async fn ask<M: Method>(&self, params: &M::Params) -> Result<M::Answer, Failed> {
        let running = self.running().await.map_err(Failed::Plugin)?;
        let result = running.connection.call(M::NAME, params, self.0.config.limit).await;
        let result = result.map_err(failed)?;
        self.understood::<M>(result).map_err(Failed::Plugin)
    }

    fn understood<M: Method>(&self, result: Value) -> Result<M::Answer, PluginError> {
        serde_json::from_value(result).map_err(|error| PluginError::Garbled {
            plugin: self.name().to_owned(),
            why: format!("its answer to `{}` is malformed: {error}", M::NAME),
            said: Said::default(),
        })
    }

    /// What is malformed in an answer.
    pub(crate) fn garbled(&self, method: &str, why: impl fmt::Display) -> PluginError {
        PluginError::Garbled {
            plugin: self.name().to_owned(),
            why: format!("its answer to `{method}` is malformed: {why}"),
            said: Said::default(),
        }
    }

    /// A process that can be asked.
    async fn running(&self) -> Result<Running, PluginError> {
        let mut state = self.0.state.lock().await;
        if let Some(running) = &state.running {
            if running.connection.is_open() {
                return Ok(running.clone());
            }
            // One that is just ending shares the directory with the next, and says why first.
            running.connection.close().await;
            state.last = running.connection.over();
        }
        state.running = None;
        self.may_start(&mut state)?;
        match self.start().await {
            Ok(running) => Ok(state.running.insert(running).clone()),
            Err(error) => {
                state.last = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Counts a start, or refuses one too many.
    fn may_start(&self, state: &mut State) -> Result<(), PluginError> {
        let config = &self.0.config;
        let now = Instant::now();
        while state.starts.front().is_some_and(|at| now - *at >= config.within) {
            state.starts.pop_front();
        }
        if let Some(first) = state.starts.front()
            && state.starts.len() >= config.starts
        {
            return Err(PluginError::TooOften {
                plugin: config.name.clone(),
                times: state.starts.len(),
                wait: config.within.saturating_sub(now - *first),
                last: state.last.as_ref().map(ToString::to_string).unwrap_or_default(),
            });
        }
        state.starts.push_back(now);
        Ok(())
    }

    async fn start(&self) -> Result<Running, PluginError> {
        let config = &self.0.config;
        let plugin = || config.name.clone();
        let connection = Arc::new(Connection::open(config).await?);
        let own = config.own_directory();
        let directory = own.to_str().ok_or_else(|| PluginError::NotStarted {
            plugin: plugin(),
            why: format!("its directory {} is not UTF-8", own.display()),
            retry: Retry::Never,
        })?;
        let params = InitializeParams {
            protocol: PROTOCOL.to_owned(),
            version: VERSION,
            kugetsu: env!("CARGO_PKG_VERSION").to_owned(),
            directory: directory.to_owned(),
        };
        let limit = config.limit.min(TO_BEGIN);
        let begun = async {
            let result = connection.call(Initialize::NAME, &params, limit).await;
            let result = result.map_err(|error| match failed(error) {
                Failed::Plugin(error) => error,
                Failed::Refused(refused) => PluginError::Garbled {
                    plugin: plugin(),
                    why: format!("it refused `{}`: {}", Initialize::NAME, refused.message),
                    said: Said::default(),
                },
            })?;
            if let Some(theirs) = other_version(&result) {
                return Err(PluginError::OtherVersion { plugin: plugin(), theirs });
            }
            self.understood::<Initialize>(result)
        };
        match begun.await {
            Ok(said) => {
                let about = PluginInfo::of(&said.plugin.name, &said.plugin.version, said.kinds);
                Ok(Running { connection, about })
            }
            Err(error) => {
                connection.close().await;
                Err(error)
            }
        }
    }
}

fn failed(error: CallError) -> Failed {
    let error = match error {
        CallError::Plugin(error) => return Failed::Plugin(error),
        CallError::Refused(error) => error,
    };
    let message: String = error.message.chars().filter(|c| !c.is_control()).take(2000).collect();
    let message = if message.trim().is_empty() {
        format!("it gave no reason (error {})", error.code)
    } else {
        message
    };
    let unsupported = error.code == METHOD_NOT_FOUND;
    Failed::Refused(Refused { message, data: ErrorData::of(&error.data), unsupported })
}

/// What somebody speaks who does not speak our version.
fn other_version(result: &Value) -> Option<String> {
    let protocol = result.get("protocol").and_then(Value::as_str)?;
    let version = result.get("version")?;
    let is_ours = protocol == PROTOCOL && version.as_u64() == Some(VERSION.into());
    let plain: String = protocol.chars().filter(|c| !c.is_control()).take(80).collect();
    (!is_ours)
        .then(|| format!("{plain}/{}", version.to_string().chars().take(40).collect::<String>()))
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.0.config).finish()
    }
}
