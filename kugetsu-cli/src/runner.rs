//! The command as a library: what a custom program adds its own backends to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum as _};
use kugetsu_core::{AgentError, AgentRunner, StoreError, WorktreeError, WorktreeProvider};
use kugetsu_queue::mask::MASKED;
use kugetsu_queue::{Machine, Mask};

use crate::args::{Cli, Color};
use crate::commands;
use crate::env_files;
use crate::errors::{CliError, Kind};
use crate::exit;
use crate::paths::Paths;
use crate::place::{Place, Stores};
use crate::screen::{Screen, escape};
use crate::settings;
use crate::setup::Setup;
use crate::surroundings::Surroundings;

type Factory<T, E> = Arc<dyn Fn(&Place) -> Result<T, E> + Send + Sync>;
type OpenStore = Arc<dyn Fn(&Place) -> Opening + Send + Sync>;
type Opening = Pin<Box<dyn Future<Output = Result<Stores, StoreError>> + Send>>;

/// What backends there are, by the names that the settings know them by.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(crate) agents: BTreeMap<String, Factory<Arc<dyn AgentRunner>, AgentError>>,
    pub(crate) stores: BTreeMap<String, OpenStore>,
    pub(crate) worktrees: BTreeMap<String, Factory<Arc<dyn WorktreeProvider>, WorktreeError>>,
    pub(crate) machine: Option<Arc<dyn Machine>>,
}

/// The command `kugetsu`, with the backends that it knows.
///
/// A program that brings its own registers them under a name and runs; the settings `agent`, `store`
/// and `worktrees` choose among them. A name of ours may be taken over.
#[derive(Clone, Default)]
pub struct CliRunner {
    registry: Registry,
}

impl CliRunner {
    /// Knows the agent `name`, which is made when the first command needs it.
    pub fn with_agent(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Place) -> Result<Arc<dyn AgentRunner>, AgentError> + Send + Sync + 'static,
    ) -> Self {
        self.registry.agents.insert(name.into(), Arc::new(make));
        self
    }

    /// Knows the store `name`, which is opened when the first command needs it.
    pub fn with_store<F>(
        mut self,
        name: impl Into<String>,
        open: impl Fn(&Place) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Stores, StoreError>> + Send + 'static,
    {
        let open = move |place: &Place| Box::pin(open(place)) as Opening;
        self.registry.stores.insert(name.into(), Arc::new(open));
        self
    }

    /// Knows the worktree provider `name`, which is made when the first command needs it.
    pub fn with_worktrees(
        mut self,
        name: impl Into<String>,
        make: impl Fn(&Place) -> Result<Arc<dyn WorktreeProvider>, WorktreeError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.registry.worktrees.insert(name.into(), Arc::new(make));
        self
    }

    /// Looks at this machine before an agent starts, instead of at the one on which this process runs.
    pub fn with_machine(mut self, machine: impl Machine) -> Self {
        self.registry.machine = Some(Arc::new(machine));
        self
    }

    /// Carries out the command line of this process.
    pub fn run(self) -> ExitCode {
        ExitCode::from(self.run_in(Surroundings::of_process(), std::env::args_os()))
    }

    /// Carries out a command line (whose first word is the program's name) in these surroundings and
    /// returns the [exit code](crate::exit). It starts a runtime of its own, so it is not called
    /// from within another one.
    pub fn run_in(
        self,
        mut around: Surroundings,
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> u8 {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        // Nothing has to be understood for it.
        if let [_, version] = words.as_slice()
            && (version == "--version" || version == "-V")
        {
            let screen = Screen::new(&mut around, false, Color::Never);
            let said = screen.say(concat!("kugetsu ", env!("CARGO_PKG_VERSION")));
            return said.map_or_else(|failed| failed.kind.exit(), |()| exit::DONE);
        }
        let line = Line::of(&words);
        let cli = match Cli::try_parse_from(&words) {
            Ok(cli) => cli,
            Err(error) => return refuse(&mut around, &error, &line),
        };
        let is_meant = words.iter().any(|word| word == "--");
        if let (false, Some(option)) = (is_meant, cli.command.option_for_a_message()) {
            return refuse(&mut around, &no_such_option(option), &line);
        }
        let debug = cli.global.debug;
        let screen = Screen::new(&mut around, cli.global.json, cli.global.color);
        let setup = Setup::new(self.registry, Arc::new(screen), around, cli.global);
        match commands::carry_out(cli.command, &setup) {
            Ok(()) => exit::DONE,
            Err(error) if error.is_silent() => error.kind.exit(),
            Err(error) => {
                let screen = setup.screen();
                if screen.json {
                    screen.remark(error.json().to_string());
                } else {
                    screen.remark(error.told(debug));
                    if let (true, Some(logs)) = (debug, setup.agent_logs()) {
                        screen.remark(format!("the agent's logs are in {}", screen.path(&logs)));
                    }
                }
                error.kind.exit()
            }
        }
    }
}

impl fmt::Debug for CliRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CliRunner")
            .field("agents", &self.registry.agents.keys())
            .field("stores", &self.registry.stores.keys())
            .field("worktrees", &self.registry.worktrees.keys())
            .finish()
    }
}

/// A message may begin with a hyphen, but one that is a single word is a mistyped option.
fn no_such_option(option: &str) -> clap::Error {
    let text = format!(
        "unexpected argument '{option}' found\n\n  tip: if it is the message, put `--` before it\n"
    );
    clap::Error::raw(clap::error::ErrorKind::UnknownArgument, text)
}

/// What has to be known of a line before it is understood, for the case that it cannot be.
struct Line {
    json: bool,
    color: Color,
    /// Whether something in it would act on a terminal: then it is not painted.
    acts: bool,
    /// What was typed where a secret may stand.
    values: Vec<String>,
}

impl Line {
    fn of(words: &[OsString]) -> Self {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        let next = words.windows(2).find(|pair| pair[0] == "--color").map(|pair| &*pair[1]);
        let joined = words.iter().find_map(|word| word.strip_prefix("--color="));
        let color = next.or(joined).and_then(|when| Color::from_str(when, false).ok());
        Self {
            json: words.iter().any(|word| word == "--json"),
            color: color.unwrap_or_default(),
            acts: words.iter().any(|word| escape::text(word) != **word),
            values: values(&words),
        }
    }

    /// The text without what was typed as a value.
    fn masked(&self, text: &str) -> String {
        // One that is too short to be looked for stands in quotes.
        let quoted = |text: String, value: &String| text.replace(&format!("'{value}'"), MASKED);
        let text = self.values.iter().fold(text.to_owned(), quoted);
        Mask::new(&self.values).text(&text).into_owned()
    }
}

/// What stands behind `env set NAME`.
fn values(words: &[Cow<'_, str>]) -> Vec<String> {
    let set = words.windows(2).position(|two| two[0] == "env" && two[1] == "set");
    let behind = set.and_then(|at| words.get(at + 3..)).unwrap_or_default();
    behind.iter().map(ToString::to_string).filter(|word| !word.is_empty()).collect()
}

/// Help and the version are answers; all else that clap has to say is a mistake in the command line.
fn refuse(around: &mut Surroundings, error: &clap::Error, line: &Line) -> u8 {
    let Line { json, color, acts, .. } = *line;
    let acts = acts || !line.values.is_empty();
    let screen = Screen::new(around, json, color);
    let is_answer = !error.use_stderr();
    // Help and the version are our own words. A mistake is told with what was typed.
    if !is_answer {
        let paths = Paths::find(around).ok();
        let named = paths.as_ref().map(settings::variables_told).unwrap_or_default();
        let named = named.iter().map(String::as_str);
        screen.hide(env_files::mask_of_what_is_there(paths.as_ref(), &around.variables, named));
    }
    let on_terminal = if is_answer { screen.terminals.output } else { screen.terminals.error };
    let text = if on_terminal && screen.may_paint() && !acts {
        error.render().ansi().to_string()
    } else {
        escape::text(&line.masked(&error.render().to_string()))
    };
    let text = text.trim_end();
    if is_answer {
        return match screen.say(text) {
            Ok(()) => exit::DONE,
            Err(failed) => failed.kind.exit(),
        };
    }
    if json {
        let text = text.strip_prefix("error: ").unwrap_or(text);
        screen.remark(CliError::new(Kind::Usage, text).json().to_string());
    } else {
        screen.remark(text);
    }
    exit::USAGE
}
