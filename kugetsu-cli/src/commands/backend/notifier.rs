//! Notifiers, which are plain commands.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier};
use kugetsu_notify::CommandNotifier;
use kugetsu_testkit::suite::{NotifierFixture, notices};

use super::report::{Kept, Report};
use super::{Candidate, Chosen, fresh};
use crate::errors::{CliError, Kind};
use crate::setup::Setup;

/// The argument in whose place the file's path stands.
const FILE: &str = "{file}";

/// Promises that are kept by whoever runs the command, and not by the command.
const NOT_ITS_OWN: &[(&str, &str)] = &[(
    "a_notifier_keeps_its_name",
    "a command has no name of its own, but that of its table [notify.NAME]",
)];

/// Why nothing can be checked.
const UNSEEN: &str = "what it has kept cannot be seen: give it a file with the argument {file}";

pub(super) async fn check(
    candidate: &Candidate,
    chosen: &Chosen,
    setup: &Setup,
) -> Result<Report, CliError> {
    let program = &candidate.program;
    candidate.found().map_err(|why| CliError::new(Kind::Missing, why))?;
    let names: Vec<&str> = notices::PROMISES.iter().map(|promise| promise.name).collect();
    let places = chosen.among(&names)?;
    let who = candidate.name();
    let mut report = Report::begin(setup.screen(), &who, "a notifier", places.len())?;
    let shows = candidate.arguments.iter().any(|word| word == FILE);
    for place in places {
        let promise = &notices::PROMISES[place];
        let own = NOT_ITS_OWN.iter().find(|(name, _)| *name == promise.name);
        let kept = match own {
            Some((_, why)) => Kept::NotChecked(why),
            None if !shows => Kept::NotChecked(UNSEEN),
            None => {
                let home = fresh()?;
                let file = home.path().join("notices");
                let filled = |word: &OsString| {
                    if word == FILE { file.clone().into_os_string() } else { word.clone() }
                };
                let arguments: Vec<OsString> = candidate.arguments.iter().map(filled).collect();
                let command = CommandNotifier::new("checked", OsStr::new(program));
                let place = Place { command: command.with_arguments(arguments), file };
                Kept::of(promise.check(&place as &dyn NotifierFixture).await)
            }
        };
        report.add(setup.screen(), promise.name, kept)?;
    }
    Ok(report)
}

/// A command, and the file in which it keeps what it gets.
struct Place {
    command: CommandNotifier,
    file: PathBuf,
}

#[async_trait]
impl NotifierFixture for Place {
    async fn open(&self) -> Arc<dyn Notifier> {
        Arc::new(self.command.clone())
    }

    async fn kept(&self) -> Vec<Notice> {
        // What was brought to nobody so far has no file.
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(number, line): (usize, &str)| match serde_json::from_str(line) {
            Ok(notice) => notice,
            Err(error) => panic!("line {} of its file is no notice: {error}", number + 1),
        };
        lines.map(read).collect()
    }
}
