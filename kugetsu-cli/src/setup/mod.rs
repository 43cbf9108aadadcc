//! Putting the backends together, each when it is first needed.

mod agents;
mod gone;
mod plugins;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use kugetsu_core::{
    AgentRunner, IssueRef, Session, SessionKind, SessionQuery, Task, TaskQueue, WorkerId,
    WorktreeProvider,
};
use kugetsu_git::GitWorktrees;
use kugetsu_opencode::OpencodeRunner;
use kugetsu_plugin::Plugin;
use kugetsu_queue::{
    Admission, Backends, Contexts, Engine, FileSlots, Holds, JsonStore, Limits, Logs, Prompts,
    SlotLimits, SqliteStore, SystemChance, SystemClock, ThisMachine, WatchedStore,
};
use tokio::sync::OnceCell;

use crate::args::{Color, Global, StoreKind};
use crate::caller::Caller;
use crate::env_files;
use crate::errors::{CliError, Kind};
use crate::here;
use crate::panics;
use crate::paths::Paths;
use crate::place::{Place, Stores};
use crate::repositories;
use crate::runner::Registry;
use crate::screen::Screen;
use crate::settings::{self, Settings};
use crate::surroundings::Surroundings;
use crate::tasks;

pub(crate) use gone::Gone;

/// Everything that a command may need.
pub(crate) struct Setup {
    registry: Registry,
    screen: Arc<Screen>,
    around: Surroundings,
    global: Global,
    paths: OnceLock<Paths>,
    caller: OnceLock<Caller>,
    place: OnceLock<Place>,
    stores: OnceCell<Stores>,
    slots: OnceLock<Arc<FileSlots>>,
    worktrees: OnceLock<Arc<dyn WorktreeProvider>>,
    plugins: Mutex<BTreeMap<String, Plugin>>,
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
            caller: OnceLock::new(),
            place: OnceLock::new(),
            stores: OnceCell::new(),
            slots: OnceLock::new(),
            worktrees: OnceLock::new(),
            plugins: Mutex::default(),
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

    /// The same command elsewhere: in another directory of kugetsu's, with other variables, and with
    /// these settings from the command line.
    #[cfg(feature = "demo")]
    pub(crate) fn elsewhere(
        &self,
        variables: BTreeMap<OsString, OsString>,
        flags: Vec<String>,
    ) -> Self {
        let mut around =
            Surroundings::new(&self.around.directory, std::io::sink(), std::io::sink());
        around.variables = variables;
        let global = Global { config: flags, ..self.global };
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

    /// Has the screen, and panics, mask the secrets that are known. What is wrong with settings and
    /// files is told by whoever needs them, and takes the mask off nothing.
    pub(crate) fn hide_secrets(&self) {
        let paths = self.paths().ok();
        let named = match self.settings() {
            Ok(settings) => settings.sink_variables().map(str::to_owned).collect(),
            Err(_) => paths.map(settings::variables_told).unwrap_or_default(),
        };
        let named = named.iter().map(String::as_str);
        self.screen.hide(env_files::mask_of_what_is_there(paths, &self.around.variables, named));
        if self.around.is_of_process {
            panics::mask(&self.screen);
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
        if let Some(caller) = self.caller.get() {
            return Ok(*caller);
        }
        let caller = Caller::find(&self.around, self.paths()?)?;
        Ok(*self.caller.get_or_init(|| caller))
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
                        self.must_not_be_gone(StoreKind::Sqlite, place)?;
                        let store = SqliteStore::open(place.paths.database()).await?;
                        Ok(Stores::of(store.clone()).with_inbox(store.clone()).with_records(store))
                    }
                    (None, "json") => {
                        self.must_not_be_gone(StoreKind::Json, place)?;
                        let store = JsonStore::open(place.paths.root()).await?;
                        Ok(Stores::of(store.clone()).with_inbox(store))
                    }
                    _ => {
                        let own = self.registry.stores.keys();
                        Err(no_backend("store", name, &["sqlite", "json"], own))
                    }
                }
            })
            .await
    }

    /// A store that was there is not made anew without a word: it would be an empty queue.
    fn must_not_be_gone(&self, kind: StoreKind, place: &Place) -> Result<(), CliError> {
        let Some(gone) = Gone::find(kind, &place.paths) else { return Ok(()) };
        let shown = |path: &Path| self.screen.path(path);
        let message = format!("{} is gone, though kugetsu has worked here", shown(&gone.path));
        Err(CliError::new(Kind::Damaged, message).hint(gone.advice(shown)))
    }

    /// The error, or that the store was converted meanwhile, if that is why.
    pub(crate) fn or_converted(&self, error: CliError) -> CliError {
        let (Kind::Failed | Kind::Damaged, Some(place)) = (error.kind, self.place.get()) else {
            return error;
        };
        let settings = Settings::read(&place.paths, &self.around, &self.global.config);
        let Ok(settings) = settings else { return error };
        let store = |settings: &Settings| settings.get("store").unwrap_or("sqlite").to_owned();
        let now = store(&settings);
        if now == store(&place.settings) {
            return error;
        }
        CliError::new(Kind::Temporary, format!("the store was converted to {now} meanwhile"))
            .hint("try again")
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
        let own = self.registry.worktrees.get(name);
        let made: Arc<dyn WorktreeProvider> = match (own, name, name.strip_prefix(settings::PLUGIN))
        {
            (Some(make), ..) => make(place)?,
            (None, "git", _) => Arc::new(repositories::worktrees(self, &place.paths)?),
            (None, _, Some(plugin)) => self.plugin_worktrees(plugin)?,
            _ => {
                let own = self.registry.worktrees.keys();
                return Err(no_backend("worktrees", name, &["git", "plugin:<name>"], own));
            }
        };
        Ok(Arc::clone(self.worktrees.get_or_init(|| made)))
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

    /// The variables that the programs we start do not inherit and have to be told.
    pub(crate) fn variables_of_others(&self) -> Option<&BTreeMap<OsString, OsString>> {
        (!self.around.is_of_process).then_some(&self.around.variables)
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
        let agent = self.agent()?;
        let is_opencode = self.dev_opencode()?.is_some_and(|opencode| opencode.id() == agent.id());
        self.engine_with(if is_opencode { agent } else { self.pm_agent()? }).await
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
        let mut backends =
            self.other_agents()?.into_iter().fold(backends, Backends::with_other_agent);
        for (repository, name) in &settings.agent_for().repositories {
            let agent = self.agent_for(name)?.id().clone();
            backends = backends.with_agent_for(repository.clone(), agent);
        }
        let mask = env_files::mask(paths, &self.around.variables, settings.sink_variables())?;
        let prompts = Prompts::default()
            .with_dev_file(paths.dev_prompt())
            .with_pm_file(paths.pm_prompt())
            .with_verbosity(settings.verbosity());
        let limits = Limits::default()
            .with_turn(settings.turn_timeout())
            .with_stall(settings.stall_timeout());
        let engine = Engine::new(backends, worker()?, paths.home())
            .with_bell(paths.bell())
            .with_interval(settings.daemon_interval())
            .with_limits(limits)
            .with_mask(Arc::new(mask))
            .with_logs(self.logs()?)
            .with_prompts(prompts)
            .with_base_branch(settings.get("base_branch").map(str::to_owned))
            .with_admission(self.admission()?)
            .with_circuit(settings.circuit());
        if settings.keeps_contexts() {
            return Ok(engine.with_contexts(self.contexts()?));
        }
        Ok(engine)
    }

    /// How much room there has to be for an agent to start; `None` if nobody looks.
    pub(crate) fn admission(&self) -> Result<Option<Admission>, CliError> {
        let (paths, settings) = (self.paths()?, self.settings()?);
        let (memory, disk) = (settings.memory_reserve(), settings.disk_reserve());
        if (memory, disk) == (Some(0), 0) {
            return Ok(None);
        }
        let machine = self.registry.machine.clone().unwrap_or_else(|| {
            Arc::new(ThisMachine::new([paths.worktrees(), paths.root().to_owned()]))
        });
        let admission = Admission::on(machine).with_disk(disk);
        Ok(Some(match memory {
            Some(memory) => admission.with_memory(memory),
            None => admission,
        }))
    }

    /// What is remembered of each issue.
    pub(crate) fn contexts(&self) -> Result<Contexts, CliError> {
        Ok(Contexts::new(self.paths()?.contexts()))
    }

    /// Forgets what is remembered of the issue, whose slot the caller holds.
    pub(crate) fn forget_context(&self, issue: &IssueRef) -> Result<(), CliError> {
        match self.contexts()?.remove(issue) {
            Ok(_) => Ok(()),
            Err(error) => Err(CliError::io(format_args!("remove the context of {issue}"), &error)),
        }
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

pub(crate) fn clock() -> Result<SystemClock, CliError> {
    SystemClock::new().map_err(|error| CliError::io("read the clock", &error))
}

/// Unique among all workers: the machine, the process, and the process's only worker.
fn worker() -> Result<WorkerId, CliError> {
    kugetsu_queue::new_worker().map_err(|error| CliError::failed(error.to_string()))
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
