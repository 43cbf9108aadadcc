//! Settings: one table says what there is, and everything else is read from it.

mod agents;
mod fields;
mod file;
mod plugins;
mod sinks;
mod table;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use agents::{AgentFor, ProgramAgent, Speaks};
pub(crate) use fields::Text;
pub(crate) use file::{FlatLine, commented, flat_line, write};
pub(crate) use plugins::{PREFIX as PLUGIN, PluginTable};
pub(crate) use sinks::{INBOX, Sink, Target};
pub(crate) use table::{SETTINGS, Setting, by_key};

use kugetsu_core::Association;
use kugetsu_queue::{Admission, Circuit, Verbosity};

use crate::errors::CliError;
use crate::paths::Paths;
use crate::servers::{self, Servers};
use crate::surroundings::Surroundings;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(&'static str),
    Flag,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                write!(f, "{name}:{line}")
            }
            Self::Environment(name) => write!(f, "environment ({name})"),
            Self::Flag => f.write_str("--config"),
        }
    }
}

/// One setting's value.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) setting: &'static Setting,
    /// Checked; `None` is unset.
    pub(crate) text: Option<String>,
    pub(crate) origin: Origin,
}

/// All settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: Vec<Value>,
    /// Where notices are brought, besides the inbox.
    sinks: Vec<Sink>,
    /// The lines of the flat file that are no settings of ours, and why.
    left_out: Vec<(usize, String)>,
    /// Agents that are programs, by name.
    agents: Vec<ProgramAgent>,
    /// Which agent works for whom.
    agent_for: AgentFor,
    /// Backends that are programs.
    plugins: Vec<PluginTable>,
    /// The git servers.
    servers: Servers,
    /// The user's home, for `~`.
    home: Option<PathBuf>,
}

impl Settings {
    /// Reads them: flag over environment over `config.toml` over `config` over default. The server
    /// that `kugetsu server default` has made it comes before the default.
    pub(crate) fn read(
        paths: &Paths,
        around: &Surroundings,
        flags: &[String],
    ) -> Result<Self, CliError> {
        let home = around.variable("HOME").map(PathBuf::from);
        let servers = Servers::read(&paths.servers())?;
        let mut settings = Self::unset(servers, home);
        settings.default_to_server(&paths.servers());
        file::read_flat(&paths.flat_config(), &mut settings)?;
        file::read_toml(&paths.config(), &mut settings)?;
        for setting in SETTINGS {
            if let Some(value) = around.variable(setting.variable).filter(|v| !v.is_empty()) {
                settings.set_from_environment(setting, value)?;
            }
        }
        for flag in flags {
            settings.set_from_flag(flag)?;
        }
        Ok(settings)
    }

    /// Reads what makes sense of them, and tells what does not: of each file the first mistake, and
    /// every variable and flag.
    pub(crate) fn survey(
        paths: &Paths,
        around: &Surroundings,
        flags: &[String],
    ) -> (Self, Vec<CliError>) {
        let home = around.variable("HOME").map(PathBuf::from);
        let mut mistakes = Vec::new();
        let servers = Servers::read(&paths.servers()).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Servers::seeded()
        });
        let mut settings = Self::unset(servers, home);
        settings.default_to_server(&paths.servers());
        mistakes.extend(file::read_flat(&paths.flat_config(), &mut settings).err());
        mistakes.extend(file::read_toml(&paths.config(), &mut settings).err());
        for setting in SETTINGS {
            if let Some(value) = around.variable(setting.variable).filter(|v| !v.is_empty()) {
                mistakes.extend(settings.set_from_environment(setting, value).err());
            }
        }
        for flag in flags {
            mistakes.extend(settings.set_from_flag(flag).err());
        }
        (settings, mistakes)
    }

    fn unset(servers: Servers, home: Option<PathBuf>) -> Self {
        let (sinks, agents, agent_for) = (Vec::new(), Vec::new(), AgentFor::default());
        let (values, left_out) = (defaults(), Vec::new());
        let plugins = Vec::new();
        Self { values, sinks, left_out, agents, agent_for, plugins, servers, home }
    }

    /// What the flat file, shown so, has in it that is no setting of ours; `None` if there is nothing.
    pub(crate) fn left_out(&self, shown: &str) -> Option<String> {
        const MOST: usize = 5;
        let told = |(line, why): &(usize, String)| format!("line {line} ({why})");
        let mut lines: Vec<String> = self.left_out.iter().take(MOST).map(told).collect();
        match self.left_out.len().saturating_sub(MOST) {
            0 => {}
            more => lines.push(format!("and {more} more")),
        }
        (!lines.is_empty())
            .then(|| format!("{shown} has lines that set nothing here: {}", lines.join(", ")))
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(crate) fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// Backends that are programs, by name.
    pub(crate) fn plugins(&self) -> &[PluginTable] {
        &self.plugins
    }

    /// Agents that are programs, by name.
    pub(crate) fn agents(&self) -> &[ProgramAgent] {
        &self.agents
    }

    /// Which agent works for whom, unless a task says another.
    pub(crate) fn agent_for(&self) -> &AgentFor {
        &self.agent_for
    }

    /// The variables that hold secrets of sinks, which are kept from agents.
    pub(crate) fn sink_variables(&self) -> impl Iterator<Item = &str> {
        self.sinks.iter().filter_map(Sink::variable)
    }

    /// A setting's value; `None` if it is unset or unknown.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|value| value.setting.key == key)?.text.as_deref()
    }

    pub(crate) fn max_agents(&self) -> u32 {
        self.get("max_concurrent_agents").and_then(|text| text.parse().ok()).unwrap_or(3)
    }

    pub(crate) fn pm_task_allowance(&self) -> u32 {
        self.get("pm_task_allowance").and_then(|text| text.parse().ok()).unwrap_or(20)
    }

    pub(crate) fn turn_timeout(&self) -> Duration {
        self.amount("task_timeout_hours", 1.0, 3600.0)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.amount("stall_timeout_minutes", 10.0, 60.0)
    }

    pub(crate) fn daemon_interval(&self) -> Duration {
        self.amount("queue_daemon_interval_minutes", 5.0, 60.0)
    }

    pub(crate) fn cleanup_age(&self) -> Duration {
        self.amount("queue_cleanup_age_days", 7.0, 86_400.0)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        self.amount("drain_timeout_seconds", 300.0, 1.0)
    }

    /// How much memory an agent wants to start, in bytes, if that is set: the default depends on how
    /// much there is.
    pub(crate) fn memory_reserve(&self) -> Option<u64> {
        if self.origin("memory_reserve_mb") == Some(&Origin::Default) {
            return None;
        }
        self.count("memory_reserve_mb").map(|mib| mib << 20)
    }

    /// How much space an agent wants to start, in bytes.
    pub(crate) fn disk_reserve(&self) -> u64 {
        self.count("disk_reserve_mb").map_or(Admission::DISK, |mib| mib << 20)
    }

    /// When the queue rests after failures; `None` if never.
    pub(crate) fn circuit(&self) -> Option<Circuit> {
        let failures = usize::try_from(self.count("circuit_failures")?).ok()?;
        (failures > 0).then(|| Circuit::default().with_failures(failures))
    }

    fn count(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    pub(crate) fn log_retention(&self) -> Duration {
        self.amount("log_retention_days", 7.0, 24.0 * 3600.0)
    }

    /// Whether the context of each issue is kept.
    pub(crate) fn keeps_contexts(&self) -> bool {
        self.get("enable_context_dump") != Some("false")
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        match self.get("verbosity") {
            Some("verbose") => Verbosity::Verbose,
            Some("quiet") => Verbosity::Quiet,
            _ => Verbosity::Default,
        }
    }

    /// The host of references that name no server.
    pub(crate) fn default_server(&self) -> Option<&str> {
        let named = self.get("default_server")?;
        Some(self.servers.host(named).unwrap_or(named))
    }

    /// Whose words on an issue are given to agents.
    pub(crate) fn trusted_authors(&self) -> Vec<Association> {
        let words = self.get("trusted_authors").unwrap_or_default().split(',');
        words
            .filter_map(|word| match word {
                "owner" => Some(Association::Owner),
                "member" => Some(Association::Member),
                "collaborator" => Some(Association::Collaborator),
                "contributor" => Some(Association::Contributor),
                "stranger" => Some(Association::Stranger),
                _ => None,
            })
            .collect()
    }

    /// Whether an issue's work is kept while its pull request is open.
    pub(crate) fn checks_pull_requests(&self) -> bool {
        self.get("worktree_check_pr_status") != Some("false")
    }

    /// The git servers.
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Where a setting's value came from.
    pub(crate) fn origin(&self, key: &str) -> Option<&Origin> {
        Some(&self.values.iter().find(|value| value.setting.key == key)?.origin)
    }

    fn default_to_server(&mut self, file: &Path) {
        let name = self.servers.chosen().map(ToString::to_string);
        if let (Some(name), Some(setting)) = (name, table::by_key("default_server")) {
            let text = crate::paths::read(file).unwrap_or_default();
            let line = servers::file::line_of_default(&text).unwrap_or(1);
            self.set(setting, name, Origin::File { path: file.to_owned(), line });
        }
    }

    /// A setting that is a path, with `~` resolved.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        let text = self.get(key)?;
        match (text.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(Path::new(text).to_owned()),
        }
    }

    fn amount(&self, key: &str, default: f64, unit: f64) -> Duration {
        let amount = self.get(key).and_then(|text| text.parse().ok()).unwrap_or(default);
        Duration::try_from_secs_f64(amount * unit).unwrap_or(Duration::MAX)
    }

    fn set_from_environment(
        &mut self,
        setting: &'static Setting,
        value: &OsStr,
    ) -> Result<(), CliError> {
        let name = setting.variable;
        let text = value
            .to_str()
            .ok_or_else(|| CliError::config(format!("the variable {name} is not UTF-8")))?;
        let text = setting
            .kind
            .check(text)
            .map_err(|why| CliError::config(format!("the variable {name}: {why}")))?;
        self.set(setting, text, Origin::Environment(name));
        Ok(())
    }

    fn set_from_flag(&mut self, flag: &str) -> Result<(), CliError> {
        let Some((key, text)) = flag.split_once('=') else {
            return Err(CliError::usage(format!("--config {flag:?}: write it as KEY=VALUE")));
        };
        let setting = table::by_key(key)
            .or_else(|| table::by_variable(key))
            .ok_or_else(|| unknown(CliError::usage, "--config", key))?;
        let text = setting
            .kind
            .check(text)
            .map_err(|why| CliError::usage(format!("--config {key}: {why}")))?;
        self.set(setting, text, Origin::Flag);
        Ok(())
    }

    fn set(&mut self, setting: &'static Setting, text: String, origin: Origin) {
        if let Some(value) = self.values.iter_mut().find(|v| v.setting.key == setting.key) {
            // Only a wish may be empty, and then it is none.
            value.text = Some(text).filter(|text| !text.is_empty());
            value.origin = origin;
        }
    }
}

/// The setting of this name, as it is in a file or in the environment.
#[cfg(feature = "demo")]
pub(crate) fn named(name: &str) -> Option<&'static Setting> {
    table::by_key(name).or_else(|| table::by_variable(name))
}

/// The variables that `config.toml` names as those of sinks' secrets, also where it makes no sense.
pub(crate) fn variables_told(paths: &Paths) -> Vec<String> {
    sinks::variables_told(&crate::paths::read(&paths.config()).unwrap_or_default())
}

fn defaults() -> Vec<Value> {
    let unset = |setting: &'static Setting| Value {
        setting,
        text: setting.default.map(str::to_owned),
        origin: Origin::Default,
    };
    SETTINGS.iter().map(unset).collect()
}

fn unknown(make: impl FnOnce(String) -> CliError, place: &str, key: &str) -> CliError {
    let error = make(format!("{place}: there is no setting {key:?}"));
    match table::nearest(key) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`kugetsu config list` shows all settings"),
    }
}
