//! The agents, each made when it is first needed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_acp::{AcpConfig, AcpRunner};
use kugetsu_core::{AgentCapabilities, AgentId, AgentRunner, Role, Session};
use kugetsu_guard::Trees;
use kugetsu_opencode::{
    Ended, Engine as OpencodeEngine, Environment, OpencodeConfig, OpencodeRunner, Rule, RuleBook,
    ToolServer,
};
use kugetsu_plugin::{CommandAgent, CommandConfig, Output};

use super::{Setup, no_backend};
use crate::caller;
use crate::env_files::{self, Variables};
use crate::errors::CliError;
use crate::place::Place;
use crate::settings::{ProgramAgent, Settings, Speaks};

impl Setup {
    /// The agent that works unless another one is asked for.
    pub(crate) fn agent(&self) -> Result<Arc<dyn AgentRunner>, CliError> {
        if let Some(agent) = self.agent.get() {
            return Ok(Arc::clone(agent));
        }
        let name = self.place()?.setting("agent").unwrap_or("opencode");
        let made = self.agent_made(name)?.ok_or_else(|| self.no_agent("agent", name))?;
        Ok(Arc::clone(self.agent.get_or_init(|| made)))
    }

    /// The agent of this name; `None` if none is set up.
    pub(crate) fn agent_named(&self, name: &str) -> Result<Option<Arc<dyn AgentRunner>>, CliError> {
        let default = self.agent()?;
        if self.place()?.setting("agent").unwrap_or("opencode") == name {
            return Ok(Some(default));
        }
        self.agent_made(name)
    }

    /// The agent that `agent_for` names.
    pub(crate) fn agent_for(&self, name: &AgentId) -> Result<Arc<dyn AgentRunner>, CliError> {
        self.agent_named(name.as_str())?.ok_or_else(|| self.no_agent("agent_for", name.as_str()))
    }

    /// The agent with which the session is; `None` if it is not set up any more.
    pub(crate) fn agent_of(
        &self,
        session: &Session,
    ) -> Result<Option<Arc<dyn AgentRunner>>, CliError> {
        let agent = self.agent()?;
        if *agent.id() == session.agent {
            return Ok(Some(agent));
        }
        Ok(self.other_agents()?.into_iter().find(|agent| *agent.id() == session.agent))
    }

    /// The names of all agents that are set up.
    pub(crate) fn agent_names(&self) -> Vec<String> {
        let ours = ["opencode", "opencode-run"].map(str::to_owned);
        let programs = self.settings().map(Settings::agents).unwrap_or_default();
        let programs = programs.iter().map(|agent| agent.id.to_string());
        let mut all: Vec<String> =
            ours.into_iter().chain(programs).chain(self.registry.agents.keys().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Every agent that a task may ask for by its id.
    pub(super) fn other_agents(&self) -> Result<Vec<Arc<dyn AgentRunner>>, CliError> {
        let named = self.agent_names().into_iter().filter(|name| name != "opencode-run");
        named.filter_map(|name| self.agent_named(&name).transpose()).collect()
    }

    fn no_agent(&self, setting: &str, name: &str) -> CliError {
        no_backend(setting, name, &[], self.agent_names().iter())
    }

    /// The agent of this name, whichever one is set; `None` if none is set up.
    pub(crate) fn agent_made(&self, name: &str) -> Result<Option<Arc<dyn AgentRunner>>, CliError> {
        let place = self.place()?;
        if let Some(make) = self.registry.agents.get(name) {
            return Ok(Some(make(place)?));
        }
        let engine = match name {
            "opencode" => OpencodeEngine::Server,
            "opencode-run" => OpencodeEngine::Run,
            _ => {
                let program = self.settings()?.agents().iter().find(|one| one.id.as_str() == name);
                return program.map(|program| self.program_agent(program)).transpose();
            }
        };
        // Both are one agent, with one database: whichever is there serves.
        if self.opencode.get().is_none() {
            let runner = self.opencode(place, engine, Role::Dev)?;
            let _ = self.opencode.set(runner);
        }
        Ok(self.opencode.get().map(|runner| Arc::new(runner.clone()) as _))
    }

    /// An agent that is some program, as the settings describe it.
    fn program_agent(&self, agent: &ProgramAgent) -> Result<Arc<dyn AgentRunner>, CliError> {
        let place = self.place()?;
        let mut environment = self.agents_environment(place, Role::Dev)?;
        for (name, value) in &agent.environment {
            environment = environment.with(name, value);
        }
        let mut command: Vec<OsString> = agent.program.iter().map(OsString::from).collect();
        if let Some(program) = command.first_mut().filter(|_| agent.program[0].contains('/')) {
            // A relative one would mean another directory where the agent works.
            *program = self.around.directory.join(&*program).into();
        }
        let label = caller::label_of(Role::Dev, place.paths.root());
        let state = place.state("agents").join(agent.id.as_str().replace(':', "-"));
        Ok(match agent.speaks {
            Speaks::Acp { permissions, forks } => {
                let config = AcpConfig::new(agent.id.clone(), command, state)
                    .with_environment(environment)
                    .with_label(label)
                    .with_permissions(permissions)
                    .with_forks(forks);
                Arc::new(AcpRunner::new(config))
            }
            Speaks::Command { json, resume } => {
                let mut can = AgentCapabilities::default();
                can.resume = resume;
                let mut words = command.into_iter();
                let program = words.next().unwrap_or_default();
                let config = CommandConfig::new(agent.id.clone(), program, state)
                    .with_args(words)
                    .with_output(if json { Output::Json } else { Output::Text })
                    .with_capabilities(can)
                    .with_environment(environment)
                    .with_label(label);
                Arc::new(CommandAgent::new(config))
            }
        })
    }

    /// The PM's agent: opencode, which can be held to its role; but a custom program's own agent is
    /// the PM's, too.
    pub(super) fn pm_agent(&self) -> Result<Arc<dyn AgentRunner>, CliError> {
        let agent = self.agent()?;
        if self.registry.agents.contains_key(self.place()?.setting("agent").unwrap_or("opencode")) {
            return Ok(agent);
        }
        if self.pm_opencode.get().is_none() {
            let place = self.place()?;
            let engine = match place.setting("agent") {
                Some("opencode-run") => OpencodeEngine::Run,
                _ => OpencodeEngine::Server,
            };
            let runner = self.opencode(place, engine, Role::Pm)?;
            let _ = self.pm_opencode.set(runner);
        }
        Ok(self.pm_opencode.get().map_or(agent, |runner| Arc::new(runner.clone())))
    }

    /// The dev agents' opencode, if they are opencode's.
    pub(crate) fn dev_opencode(&self) -> Result<Option<OpencodeRunner>, CliError> {
        self.agent()?;
        Ok(self.opencode.get().cloned())
    }

    /// opencode, whichever agent is set.
    #[cfg(feature = "demo")]
    pub(crate) fn opencode_alone(&self) -> Result<OpencodeRunner, CliError> {
        let runner = self.opencode(self.place()?, OpencodeEngine::Server, Role::Dev)?;
        Ok(self.opencode.get_or_init(|| runner).clone())
    }

    /// What turns this process's own environment into that of our surroundings.
    fn environment_of_others(&self) -> Environment {
        let Some(others) = self.variables_of_others() else { return Environment::new() };
        let foreign = std::env::vars_os().map(|(name, _)| name);
        let foreign = foreign.filter(|name| !others.contains_key(name));
        foreign.fold(others.iter().collect(), Environment::without)
    }

    /// What an agent's environment is, as changes to that of this process.
    fn agents_environment(&self, place: &Place, role: Role) -> Result<Environment, CliError> {
        let over = (role == Role::Pm).then_some(env_files::PM);
        let variables = Variables::read(&place.paths, over)?;
        let more = place.setting("inherit_variables").unwrap_or_default();
        let environment = self.environment_of_others();
        let ours = self.around.variables.keys();
        let root = place.paths.root();
        let mut environment =
            env_files::environment(ours, more, &variables, environment).with("KUGETSU_DIR", root);
        if let Some(temp) = place.settings.path("temp_dir") {
            environment = environment.with("KUGETSU_TEMP_DIR", temp);
        }
        for secret in place.settings.sink_variables() {
            environment = environment.without(secret);
        }
        Ok(environment)
    }

    fn opencode(
        &self,
        place: &Place,
        engine: OpencodeEngine,
        role: Role,
    ) -> Result<OpencodeRunner, CliError> {
        let program = place.settings.path("opencode_program").unwrap_or("opencode".into());
        let is_name = program.components().count() == 1;
        // A relative one would mean another directory where the agent works.
        let program = if is_name { program } else { self.around.directory.join(program) };
        let environment = self.agents_environment(place, role)?;
        let mut rules = RuleBook::default();
        if let Some(temp) = place.settings.path("temp_dir") {
            let inside = format!("{}/*", temp.display());
            rules.dev.push(Rule::allow("external_directory", inside));
        }
        let mut config = OpencodeConfig::new(place.state("opencode"))
            .with_program(program)
            .with_engine(engine)
            .with_project_config(place.setting("trust_project_config") == Some("yes"))
            .with_rules(rules)
            .with_environment(environment)
            .with_label(caller::label_of(role, place.paths.root()));
        if role == Role::Pm
            && let Some(own) = own_program()
        {
            let command = [own.to_string_lossy().into_owned(), "mcp".into()];
            config = config.with_narrow_shell(&own).with_tools("kugetsu", ToolServer::new(command));
        }
        Ok(OpencodeRunner::new(config)?)
    }

    /// Where the agent's own logs are, if they are anywhere.
    pub(crate) fn agent_logs(&self) -> Option<PathBuf> {
        let logs = self.place.get()?.state("opencode").join("logs");
        logs.is_dir().then_some(logs)
    }

    /// Ends what was started for the command, and returns when it has ended.
    pub(crate) async fn close(&self) {
        for opencode in self.opencodes() {
            opencode.shut_down().await;
        }
        self.close_plugins().await;
    }

    fn opencodes(&self) -> impl Iterator<Item = &OpencodeRunner> {
        self.opencode.get().into_iter().chain(self.pm_opencode.get())
    }

    /// opencode, if it is the agent.
    pub(crate) fn opencode_agent(&self) -> Result<Option<&OpencodeRunner>, CliError> {
        self.agent()?;
        Ok(self.opencode.get())
    }

    /// Where the process trees of agents and plugins that are programs are recorded.
    pub(crate) fn trees_of_programs(&self) -> Result<Vec<Trees>, CliError> {
        let place = self.place()?;
        let mut all = Vec::new();
        for kind in ["agents", "plugins"] {
            let Ok(entries) = std::fs::read_dir(place.state(kind)) else { continue };
            let directories = entries.flatten().map(|entry| entry.path());
            let recorded = directories.filter(|directory| directory.join("trees").is_dir());
            all.extend(recorded.filter_map(|directory| Trees::there(directory).ok().flatten()));
        }
        Ok(all)
    }

    /// Ends what earlier processes have left of their agents, and tells what it was.
    pub(crate) async fn end_leftovers(&self) -> Result<Vec<String>, CliError> {
        self.agent()?;
        let mut ended = Vec::new();
        for opencode in self.opencodes() {
            ended.extend(opencode.recover().await?);
        }
        for trees in self.trees_of_programs()? {
            let recovered = tokio::task::spawn_blocking(move || trees.recover()).await;
            let recovered = recovered.map_err(std::io::Error::other).flatten();
            ended.extend(recovered.map_err(|error| CliError::io("end what is left over", &error))?);
        }
        let told =
            |ended: Ended| format!("ended the left-over process {} ({})", ended.pid, ended.program);
        Ok(ended.into_iter().map(told).collect())
    }
}

/// The file of this very program, for others to start.
fn own_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    // After an upgrade the kernel names the old file so; the new one is in its place.
    let replaced = program.to_string_lossy().strip_suffix(" (deleted)").map(PathBuf::from);
    Some(replaced.unwrap_or(program)).filter(|program| program.is_file())
}
