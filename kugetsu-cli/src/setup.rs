//! Putting the backends together, each when it is first needed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use kugetsu_core::{
    AgentRunner, IssueRef, Role, Session, SessionKind, SessionQuery, Task, TaskQueue, WorkerId,
    WorktreeProvider,
};
use kugetsu_git::GitWorktrees;
use kugetsu_opencode::{
    Ended, Engine as OpencodeEngine, Environment, OpencodeConfig, OpencodeRunner, Rule, RuleBook,
    ToolServer,
};
use kugetsu_queue::{
    Backends, Engine, FileSlots, Holds, Limits, Logs, Prompts, SlotLimits, SqliteStore,
    SystemChance, SystemClock, WatchedStore,
};
use tokio::sync::OnceCell;

use crate::args::{Color, Global};
use crate::caller::{self, Caller};
use crate::env_files::{self, Variables};
use crate::errors::{CliError, Kind};
use crate::here;
use crate::paths::Paths;
use crate::place::{Place, Stores};
use crate::repositories;
use crate::runner::Registry;
use crate::screen::Screen;
use crate::settings::Settings;
use crate::surroundings::Surroundings;
use crate::tasks;

/// Everything that a command may need.
pub(crate) struct Setup {
    registry: Registry,
    screen: Arc<Screen>,
    around: Surroundings,
    global: Global,
    paths: OnceLock<Paths>,
    place: OnceLock<Place>,
    stores: OnceCell<Stores>,
    slots: OnceLock<Arc<FileSlots>>,
    worktrees: OnceLock<Arc<dyn WorktreeProvider>>,
    agent: OnceLock<Arc<dyn AgentRunner>>,
    opencode: OnceLock<OpencodeRunner>,
    /// The PM's own, so that whatever it starts is known by its label.
    pm_opencode: OnceLock<OpencodeRunner>,
    /// Whether an agent asks, by its tools, and no person sees the answer.
    by_tool: bool,
}

impl Setup {
    pub(crate) fn new(
        registry: Registry,
        screen: Arc<Screen>,
        around: Surroundings,
        global: Global,
    ) -> Self {
        Self {
            registry,
            screen,
            around,
            global,
            paths: OnceLock::new(),
            place: OnceLock::new(),
            stores: OnceCell::new(),
            slots: OnceLock::new(),
            worktrees: OnceLock::new(),
            agent: OnceLock::new(),
            opencode: OnceLock::new(),
            pm_opencode: OnceLock::new(),
            by_tool: false,
        }
    }

    /// The same surroundings for one command of an agent that uses our tools, as something that can
    /// be handed to another thread.
    pub(crate) fn for_tools(&self) -> ForTools {
        ForTools {
            registry: self.registry.clone(),
            variables: self.around.variables.clone(),
            directory: self.around.directory.clone(),
            is_of_process: self.around.is_of_process,
        }
    }

    pub(crate) fn screen(&self) -> &Arc<Screen> {
        &self.screen
    }

    pub(crate) fn around(&self) -> &Surroundings {
        &self.around
    }

    /// The options of every command.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }

    /// The settings that were given on the command line.
    pub(crate) fn flags(&self) -> &[String] {
        &self.global.config
    }

    /// The same command elsewhere: in another directory of kugetsu's, with other variables.
    #[cfg(feature = "demo")]
    pub(crate) fn elsewhere(&self, variables: BTreeMap<OsString, OsString>) -> Self {
        let mut around =
            Surroundings::new(&self.around.directory, std::io::sink(), std::io::sink());
        around.variables = variables;
        let global = Global { config: self.global.config.clone(), ..self.global };
        Self::new(self.registry.clone(), Arc::clone(&self.screen), around, global)
    }

    pub(crate) fn place(&self) -> Result<&Place, CliError> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let paths = self.paths()?.clone();
        let settings = Settings::read(&paths, &self.around, &self.global.config)?;
        let variables = Arc::new(self.around.variables.clone());
        Ok(self.place.get_or_init(|| Place { paths, settings, variables }))
    }

    /// Has settings that make no sense be left out, for a command that works all the same, and
    /// returns what is wrong with them.
    pub(crate) fn make_do(&self) -> Vec<CliError> {
        let paths = match self.paths() {
            Ok(paths) => paths.clone(),
            Err(error) => return vec![error],
        };
        let (settings, mistakes) = Settings::survey(&paths, &self.around, &self.global.config);
        let variables = Arc::new(self.around.variables.clone());
        self.place.get_or_init(|| Place { paths, settings, variables });
        mistakes
    }

    /// Where everything is, which needs no setting: what is stopped is stopped with wrong ones, too.
    pub(crate) fn paths(&self) -> Result<&Paths, CliError> {
        if let Some(paths) = self.paths.get() {
            return Ok(paths);
        }
        let paths = Paths::find(&self.around)?;
        Ok(self.paths.get_or_init(|| paths))
    }

    pub(crate) fn settings(&self) -> Result<&Settings, CliError> {
        Ok(&self.place()?.settings)
    }

    /// Has the screen mask the secrets that are known. Wrong settings and files are told by whoever
    /// needs them.
    pub(crate) fn hide_secrets(&self) {
        let Ok(paths) = self.paths() else { return };
        let named = || self.settings().map(Settings::sink_variables).into_iter().flatten();
        if let Ok(mask) = env_files::mask(paths, &self.around.variables, named()) {
            self.screen.hide(mask);
        }
    }

    /// The issue that a person means.
    pub(crate) fn issue(&self, text: &str) -> Result<IssueRef, CliError> {
        if let Some(issue) = here::issue(self, text)? {
            return Ok(issue);
        }
        Ok(IssueRef::parse(text, self.settings()?.default_server())?)
    }

    /// Who runs the command.
    pub(crate) fn caller(&self) -> Result<Caller, CliError> {
        Caller::find(&self.around, self.paths()?)
    }

    /// Whether what is shown is shown to a person.
    pub(crate) fn is_for_person(&self) -> bool {
        !self.by_tool && self.caller().is_ok_and(|caller| caller == Caller::Person)
    }

    /// How many tasks one message to the PM may create.
    pub(crate) fn allowance(&self) -> Result<u32, CliError> {
        Ok(self.firm_settings()?.pm_task_allowance())
    }

    /// The settings as an agent's own environment has no say in them.
    pub(crate) fn firm_settings(&self) -> Result<Settings, CliError> {
        if self.caller()? == Caller::Person {
            return self.settings().cloned();
        }
        let bare = Surroundings::new(&self.around.directory, std::io::sink(), std::io::sink());
        Settings::read(self.paths()?, &bare, &[])
    }

    /// Refuses where `init` never was.
    pub(crate) fn must_be_made(&self) -> Result<(), CliError> {
        let paths = self.paths()?;
        if paths.are_made() {
            return Ok(());
        }
        let shown = self.screen.path(paths.root());
        Err(CliError::config(format!("kugetsu is not initialised in {shown}"))
            .hint("run `kugetsu init`"))
    }

    pub(crate) async fn stores(&self) -> Result<&Stores, CliError> {
        self.stores
            .get_or_try_init(|| async {
                let place = self.place()?;
                let name = place.setting("store").unwrap_or("sqlite");
                match (self.registry.stores.get(name), name) {
                    (Some(open), _) => Ok(open(place).await?),
                    (None, "sqlite") => {
                        let paths = &place.paths;
                        if !paths.database().exists() && paths.has_remains() {
                            return Err(gone(&self.screen.path(&paths.database())));
                        }
                        let store = SqliteStore::open(place.paths.database()).await?;
                        Ok(Stores::of(store.clone()).with_inbox(store.clone()).with_records(store))
                    }
                    _ => Err(no_backend("store", name, &["sqlite"], self.registry.stores.keys())),
                }
            })
            .await
    }

    pub(crate) fn slots(&self) -> Result<Arc<FileSlots>, CliError> {
        if let Some(slots) = self.slots.get() {
            return Ok(Arc::clone(slots));
        }
        let place = self.place()?;
        let limits = SlotLimits::new(place.settings.max_agents());
        let slots = Arc::new(FileSlots::open(place.paths.slots(), limits)?);
        Ok(Arc::clone(self.slots.get_or_init(|| slots)))
    }

    pub(crate) fn worktrees(&self) -> Result<Arc<dyn WorktreeProvider>, CliError> {
        if let Some(worktrees) = self.worktrees.get() {
            return Ok(Arc::clone(worktrees));
        }
        let place = self.place()?;
        let name = place.setting("worktrees").unwrap_or("git");
        let made: Arc<dyn WorktreeProvider> = match (self.registry.worktrees.get(name), name) {
            (Some(make), _) => make(place)?,
            (None, "git") => Arc::new(repositories::worktrees(self, &place.paths)?),
            _ => {
                let own = self.registry.worktrees.keys();
                return Err(no_backend("worktrees", name, &["git"], own));
            }
        };
        Ok(Arc::clone(self.worktrees.get_or_init(|| made)))
    }

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
    fn pm_agent(&self) -> Result<Arc<dyn AgentRunner>, CliError> {
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

    /// git's worktrees with all that they can, unless the worktrees are somebody else's.
    pub(crate) fn git_worktrees(&self) -> Result<Option<GitWorktrees>, CliError> {
        let place = self.place()?;
        let name = place.setting("worktrees").unwrap_or("git");
        if name != "git" || self.registry.worktrees.contains_key(name) {
            return Ok(None);
        }
        repositories::worktrees(self, &place.paths).map(Some)
    }

    /// The dev agents' opencode, if they are opencode's.
    pub(crate) fn dev_opencode(&self) -> Result<Option<OpencodeRunner>, CliError> {
        self.agent()?;
        Ok(self.opencode.get().cloned())
    }

    /// The variables that the programs we start do not inherit and have to be told.
    pub(crate) fn variables_of_others(&self) -> Option<&BTreeMap<OsString, OsString>> {
        (!self.around.is_of_process).then_some(&self.around.variables)
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

    /// The queue alone, for commands that run no agent.
    pub(crate) async fn queue(&self) -> Result<TaskQueue, CliError> {
        let tasks = Arc::clone(&self.stores().await?.tasks);
        // Whoever changes a task wakes the daemon.
        let tasks = WatchedStore::new(tasks).with_bell(self.paths()?.bell());
        Ok(TaskQueue::new(Arc::new(tasks), Arc::new(clock()?), Arc::new(SystemChance)))
    }

    /// The task that a person means, by its id or the beginning of it.
    pub(crate) async fn task(&self, text: &str) -> Result<Task, CliError> {
        tasks::named(&self.queue().await?, text).await
    }

    /// What holds the queue.
    pub(crate) async fn holds(&self) -> Result<Holds, CliError> {
        let stores = self.stores().await?;
        let tasks = WatchedStore::new(Arc::clone(&stores.tasks)).with_bell(self.paths()?.bell());
        Ok(Holds::new(Arc::clone(&stores.memos), Arc::new(clock()?), tasks))
    }

    pub(crate) async fn engine(&self) -> Result<Engine, CliError> {
        self.engine_with(self.pm_agent()?).await
    }

    /// An engine in which one agent is everybody's. It makes sessions, and needs one server for it.
    pub(crate) async fn engine_of_one(&self) -> Result<Engine, CliError> {
        self.engine_with(self.agent()?).await
    }

    async fn engine_with(&self, pm_agent: Arc<dyn AgentRunner>) -> Result<Engine, CliError> {
        let stores = self.stores().await?;
        let (paths, settings) = (self.paths()?, self.settings()?);
        let backends = Backends::new(
            (Arc::clone(&stores.tasks), Arc::clone(&stores.sessions)),
            self.slots()?,
            self.worktrees()?,
            self.agent()?,
            (Arc::new(clock()?), Arc::new(SystemChance)),
        )
        .with_memos(Arc::clone(&stores.memos))
        .with_pm_agent(pm_agent);
        let mask = env_files::mask(paths, &self.around.variables, settings.sink_variables())?;
        let prompts = Prompts::default()
            .with_dev_file(paths.dev_prompt())
            .with_pm_file(paths.pm_prompt())
            .with_verbosity(settings.verbosity());
        let limits = Limits::default()
            .with_turn(settings.turn_timeout())
            .with_stall(settings.stall_timeout());
        Ok(Engine::new(backends, worker()?, paths.home())
            .with_bell(paths.bell())
            .with_interval(settings.daemon_interval())
            .with_limits(limits)
            .with_mask(Arc::new(mask))
            .with_logs(self.logs()?)
            .with_prompts(prompts)
            .with_base_branch(settings.get("base_branch").map(str::to_owned)))
    }

    /// The logs of attempts.
    pub(crate) fn logs(&self) -> Result<Logs, CliError> {
        let retention = self.settings()?.log_retention();
        Ok(Logs::new(self.paths()?.logs()).with_retention(retention))
    }

    pub(crate) async fn session(&self, kind: SessionKind) -> Result<Option<Session>, CliError> {
        Ok(self.stores().await?.sessions.find(&SessionQuery::of(kind)).await?.pop())
    }

    /// Refuses to work with agents unless the base and the PM's session are there.
    pub(crate) async fn must_be_initialised(&self) -> Result<(), CliError> {
        self.must_be_made()?;
        match self.missing_session().await? {
            Some(name) => Err(CliError::config(format!("the {name} session is missing"))
                .hint("run `kugetsu init`")),
            None => Ok(()),
        }
    }

    /// Which session is missing without which no agent works, if one is.
    pub(crate) async fn missing_session(&self) -> Result<Option<&'static str>, CliError> {
        for (kind, name) in [(SessionKind::Base, "base"), (SessionKind::Pm, "PM")] {
            if self.session(kind).await?.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// What [`Setup::for_tools`] hands on.
pub(crate) struct ForTools {
    registry: Registry,
    variables: BTreeMap<OsString, OsString>,
    directory: PathBuf,
    is_of_process: bool,
}

impl ForTools {
    /// A setup whose answers and errors are written here.
    pub(crate) fn setup(&self, json: bool, output: impl Write + Send + 'static) -> Setup {
        let mut around = Surroundings::new(&self.directory, output, std::io::sink());
        around.variables.clone_from(&self.variables);
        around.is_of_process = self.is_of_process;
        let color = Color::Never;
        let screen = Screen::new(&mut around, json, color);
        let global = Global { json, debug: false, color, config: Vec::new() };
        let setup = Setup::new(self.registry.clone(), Arc::new(screen), around, global);
        Setup { by_tool: true, ..setup }
    }
}

/// The file of this very program, for others to start.
fn own_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    // After an upgrade the kernel names the old file so; the new one is in its place.
    let replaced = program.to_string_lossy().strip_suffix(" (deleted)").map(PathBuf::from);
    Some(replaced.unwrap_or(program)).filter(|program| program.is_file())
}

pub(crate) fn clock() -> Result<SystemClock, CliError> {
    SystemClock::new().map_err(|error| CliError::io("read the clock", &error))
}

/// Unique among all workers: the machine, the process, and the process's only worker.
fn worker() -> Result<WorkerId, CliError> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        .take(60)
        .collect();
    let host = host.trim_start_matches('-');
    let host = if host.is_empty() { "host" } else { host };
    WorkerId::new(format!("{host}-{}-0", std::process::id()))
        .map_err(|error| CliError::failed(error.to_string()))
}

/// A store that was there is not made anew without a word: it would be an empty queue.
fn gone(path: &str) -> CliError {
    CliError::new(Kind::Damaged, format!("{path} is gone, though kugetsu has worked here"))
        .hint("put it back from a backup, or run `kugetsu doctor --fix` to begin a new one")
}

fn no_backend<'a>(
    setting: &str,
    name: &str,
    ours: &[&'a str],
    own: impl Iterator<Item = &'a String>,
) -> CliError {
    let known: Vec<&str> = ours.iter().copied().chain(own.map(String::as_str)).collect();
    CliError::new(Kind::Config, format!("{setting} = {name:?}: there is no such backend"))
        .hint(format!("known are: {}", known.join(", ")))
}
