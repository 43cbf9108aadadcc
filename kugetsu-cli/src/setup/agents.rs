//! The agents, each made when it is first needed.

use std::path::PathBuf;
use std::sync::Arc;

use kugetsu_core::{AgentRunner, Role};
use kugetsu_opencode::{
    Ended, Engine as OpencodeEngine, Environment, OpencodeConfig, OpencodeRunner, Rule, RuleBook,
    ToolServer,
};

use super::{Setup, no_backend};
use crate::caller;
use crate::env_files::{self, Variables};
use crate::errors::CliError;
use crate::place::Place;

impl Setup {
    pub(crate) fn agent(&self) -> Result<Arc<dyn AgentRunner>, CliError> {
        if let Some(agent) = self.agent.get() {
            return Ok(Arc::clone(agent));
        }
        let place = self.place()?;
        let name = place.setting("agent").unwrap_or("opencode");
        let made: Arc<dyn AgentRunner> = match (self.registry.agents.get(name), name) {
            (Some(make), _) => make(place)?,
            (None, "opencode") => {
                let runner = self.opencode(place, OpencodeEngine::Server, Role::Dev)?;
                Arc::new(self.opencode.get_or_init(|| runner).clone())
            }
            (None, "opencode-run") => {
                let runner = self.opencode(place, OpencodeEngine::Run, Role::Dev)?;
                Arc::new(self.opencode.get_or_init(|| runner).clone())
            }
            _ => {
                let ours = ["opencode", "opencode-run"];
                return Err(no_backend("agent", name, &ours, self.registry.agents.keys()));
            }
        };
        Ok(Arc::clone(self.agent.get_or_init(|| made)))
    }

    /// The PM's agent: one of its own if it is an opencode, else the one that there is.
    pub(super) fn pm_agent(&self) -> Result<Arc<dyn AgentRunner>, CliError> {
        let agent = self.agent()?;
        if self.opencode.get().is_none() {
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

    fn opencode(
        &self,
        place: &Place,
        engine: OpencodeEngine,
        role: Role,
    ) -> Result<OpencodeRunner, CliError> {
        let program = place.settings.path("opencode_program").unwrap_or("opencode".into());
        let is_name = program.components().count() == 1;
        let program = if is_name { program } else { self.around.directory.join(program) };
        let root = place.paths.root();
        // A relative one would mean another directory where the agent works.
        let over = (role == Role::Pm).then_some(env_files::PM);
        let variables = Variables::read(&place.paths, over)?;
        let more = place.setting("inherit_variables").unwrap_or_default();
        let environment = self.environment_of_others();
        let ours = self.around.variables.keys();
        let mut environment =
            env_files::environment(ours, more, &variables, environment).with("KUGETSU_DIR", root);
        let mut rules = RuleBook::default();
        if let Some(temp) = place.settings.path("temp_dir") {
            let inside = format!("{}/*", temp.display());
            rules.dev.push(Rule::allow("external_directory", inside));
            environment = environment.with("KUGETSU_TEMP_DIR", temp);
        }
        for secret in place.settings.sink_variables() {
            environment = environment.without(secret);
        }
        let mut config = OpencodeConfig::new(place.state("opencode"))
            .with_program(program)
            .with_engine(engine)
            .with_project_config(place.setting("trust_project_config") == Some("yes"))
            .with_rules(rules)
            .with_environment(environment)
            .with_label(caller::label_of(role, root));
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

    /// Ends what earlier processes have left of their agents, and tells what it was.
    pub(crate) async fn end_leftovers(&self) -> Result<Vec<String>, CliError> {
        self.agent()?;
        let mut ended = Vec::new();
        for opencode in self.opencodes() {
            ended.extend(opencode.recover().await?);
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
