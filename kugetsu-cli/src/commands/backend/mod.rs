//! `kugetsu backend check`: a program is held to the promises of what it is a backend for.

mod agent;
mod notifier;
mod report;
mod tracker;
mod worktrees;

use std::ffi::{OsStr, OsString};
use std::panic::{self, Location};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_plugin::{Plugin, PluginConfig, PluginError, PluginInfo};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::args::{Backend, BackendKind};
use crate::errors::{CliError, Kind};
use crate::screen::escape;
use crate::setup::Setup;
use crate::signals::Signals;
use report::Report;

pub(super) async fn backend(args: Backend, setup: &Setup) -> Result<(), CliError> {
    let Backend::Check(args) = args;
    let candidate = Candidate::of(&args.command, setup)?;
    // A promise that is not kept panics, and is told here.
    if setup.around().is_of_process {
        keep_quiet();
    }
    let chosen = Chosen { names: args.promise.clone() };
    let check = async {
        match args.kind {
            Some(BackendKind::Notifier) => notifier::check(&candidate, &chosen, setup).await,
            Some(BackendKind::Agent) => agent::check(&candidate, &args, &chosen, setup).await,
            kind => plugin(&candidate, kind, &chosen, setup).await,
        }
    };
    // What is dropped half-way ends its programs and removes its directories.
    let stop = CancellationToken::new();
    let signals = setup.around().is_of_process.then(|| Signals::listen(stop.clone(), || {}, || {}));
    let _signals = signals.transpose()?;
    let report = tokio::select! {
        report = check => report?,
        () = stop.cancelled() => {
            let told = format!("the check of {} was stopped", candidate.name());
            return Err(CliError::new(Kind::Interrupted, told));
        }
    };
    report.end(setup.screen())
}

/// Checks a plugin as all that it is, or as what it is taken for.
async fn plugin(
    candidate: &Candidate,
    kind: Option<BackendKind>,
    chosen: &Chosen,
    setup: &Setup,
) -> Result<Report, CliError> {
    let info = candidate.info(setup).await?;
    let version =
        if info.version.is_empty() { String::new() } else { format!(" {}", info.version) };
    let who = format!("{}{version}", escape::line(&info.name));
    let is = match kind {
        Some(BackendKind::Tracker) => info.is_tracker().then_some(BackendKind::Tracker),
        Some(_) => info.makes_worktrees().then_some(BackendKind::Worktrees),
        None if info.makes_worktrees() => Some(BackendKind::Worktrees),
        None => info.is_tracker().then_some(BackendKind::Tracker),
    };
    match is {
        Some(BackendKind::Worktrees) => worktrees::check(candidate, &who, chosen, setup).await,
        Some(BackendKind::Tracker) => tracker::check(&who, chosen, setup),
        _ => Err(CliError::new(Kind::Missing, format!("{who} says that it is nothing to check"))
            .hint("say with `--kind` what it is, if it is a notifier or an agent")),
    }
}

/// How long a plugin may take for one request. No promise needs nearly as much.
const LIMIT: Duration = Duration::from_secs(20);

/// The program that is checked.
pub(super) struct Candidate {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Candidate {
    /// The program as it can be started from anywhere.
    fn of(command: &[OsString], setup: &Setup) -> Result<Self, CliError> {
        let (program, arguments) = command.split_first().ok_or_else(CliError::silent)?;
        let is_name = Path::new(program).components().count() == 1;
        let here = &setup.around().directory;
        let program = if is_name { PathBuf::from(program) } else { here.join(program) };
        // A script is often an argument of its interpreter. What names a file here is that file.
        let absolute = |word: &OsString| {
            let path = here.join(word);
            let is_file = !word.is_empty() && path.is_file();
            if is_file { path.into_os_string() } else { word.clone() }
        };
        Ok(Self { program, arguments: arguments.iter().map(absolute).collect() })
    }

    /// The plugin that it is, in this directory of its own.
    fn config(&self, directory: &Path, setup: &Setup) -> PluginConfig {
        let mut config = PluginConfig::new(self.name(), &self.program, directory)
            .with_arguments(&self.arguments)
            .with_limit(LIMIT);
        if let Some(others) = setup.variables_of_others() {
            for (name, value) in others {
                config = config.with_variable(name, value);
            }
        }
        // Nothing of this machine's own settings is a part of what is checked.
        config
            .with_variable("GIT_CONFIG_NOSYSTEM", "1")
            .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
    }

    /// Whether there is such a program.
    fn found(&self) -> Result<(), String> {
        PluginConfig::new(self.name(), &self.program, "").found().map(drop)
    }

    /// What people know it as.
    fn name(&self) -> String {
        let name = |word: &OsStr| {
            let name = Path::new(word).file_name().unwrap_or(word);
            name.to_string_lossy().chars().filter(|c| !c.is_control()).take(80).collect::<String>()
        };
        let script = self.arguments.iter().find(|word| Path::new(word).is_absolute());
        script.map_or_else(|| name(self.program.as_os_str()), |script| name(script))
    }

    /// What it says of itself.
    async fn info(&self, setup: &Setup) -> Result<PluginInfo, CliError> {
        let home = fresh()?;
        let plugin = Plugin::new(self.config(&home.path().join("plugin"), setup));
        let info = plugin.info().await;
        plugin.shut_down().await;
        info.map_err(|error| no_plugin(&error))
    }
}

fn no_plugin(error: &PluginError) -> CliError {
    let told = CliError::new(Kind::Missing, error.to_string());
    match error {
        PluginError::NotStarted { .. } => told,
        _ => told.hint(
            "docs/plugins.md describes what a plugin answers first; a notifier and an agent are plain \
             commands, of which `--kind` says what they are",
        ),
    }
}

/// Which promises are wanted.
pub(super) struct Chosen {
    names: Vec<String>,
}

impl Chosen {
    /// Those of `all` that are wanted, by their places.
    fn among(&self, all: &[&'static str]) -> Result<Vec<usize>, CliError> {
        if self.names.is_empty() {
            return Ok((0..all.len()).collect());
        }
        let place = |name: &String| {
            let name = name.trim().replace(' ', "_");
            all.iter().position(|known| *known == name).ok_or_else(|| {
                let near = all
                    .iter()
                    .map(|known| (strsim::jaro_winkler(known, &name), known))
                    .max_by(|one, other| one.0.total_cmp(&other.0));
                let told = CliError::usage(format!("there is no promise {name:?}"));
                match near {
                    Some((_, near)) => told.hint(format!("did you mean `{near}`?")),
                    None => told,
                }
            })
        };
        self.names.iter().map(place).collect()
    }
}

/// A directory for one promise, which is removed with its value.
fn fresh() -> Result<TempDir, CliError> {
    TempDir::with_prefix("kugetsu-check-")
        .map_err(|error| CliError::io("make a directory to check in", &error))
}

/// From now on a promise that is not kept says nothing by itself; any other panic does.
fn keep_quiet() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |about| {
        let file = about.location().map_or("", Location::file);
        if !["/src/suite/", "/commands/backend/"].iter().any(|part| file.contains(part)) {
            before(about);
        }
    }));
}
