//! Settings, env files and where repositories come from.

use std::fmt::Write as _;

use kugetsu_core::RepoRef;
use kugetsu_git::Source;
use serde_json::Value;

use super::Import;
use super::files::{Found, field};
use super::report::{Fate, Report};
use crate::env_files::{self, Variables};
use crate::errors::CliError;
use crate::paths;
use crate::repositories;
use crate::settings::{self, FlatLine};

/// Settings that no bash version had, and nobody else's file decides.
const OURS: [&str; 8] = [
    "agent",
    "inherit_variables",
    "opencode_program",
    "pm_task_allowance",
    "store",
    "trust_project_config",
    "trusted_authors",
    "worktrees",
];

impl Import<'_> {
    pub(super) fn settings(&self, report: &mut Report) -> Result<(), CliError> {
        const NAME: &str = "config";
        let Some(text) = self.plain_text("settings", NAME, report) else { return Ok(()) };
        let (mut known, mut count) = (String::new(), 0_usize);
        for (number, line) in text.lines().enumerate() {
            let at = format!("{NAME}:{}", number + 1);
            match settings::flat_line(line) {
                FlatLine::Nothing => {}
                FlatLine::Foreign(why) => report.add(Fate::Skipped, "setting", at, why),
                FlatLine::Set { name, value: Err(why), .. } => {
                    report.add(Fate::Skipped, "setting", at, format!("{name}: {why}"));
                }
                FlatLine::Set { setting, .. } if self.is_own => {
                    let name = format!("{at} {}", setting.key);
                    report.add(Fate::Present, "setting", name, "it is read where it is");
                }
                FlatLine::Set { setting, value: Ok(value), .. } if OURS.contains(&setting.key) => {
                    let note = format!(
                        "it says what runs here, or whom agents obey; if that is meant, write \
                         `{} = {}` into config.toml",
                        setting.key,
                        setting.kind.toml(&value)
                    );
                    report.add(Fate::Skipped, "setting", format!("{at} {}", setting.key), note);
                }
                FlatLine::Set { .. } => {
                    count += 1;
                    let _ = writeln!(known, "{}", line.trim());
                }
            }
        }
        if self.is_own || count == 0 {
            return Ok(());
        }
        let path = self.setup.paths()?.flat_config();
        match std::fs::read_to_string(&path) {
            Ok(there) if there == known => {
                report.add(Fate::Present, "settings", NAME, "");
            }
            Ok(_) => {
                let note = "there are settings of the same kind here, which stay";
                report.add(Fate::Skipped, "settings", NAME, note);
            }
            Err(_) => {
                if !self.dry_run {
                    paths::write_new(&path, &known)?;
                }
                report.add(Fate::Imported, "settings", NAME, format!("{count} of them"));
            }
        }
        Ok(())
    }

    pub(super) fn env_files(&self, report: &mut Report) -> Result<(), CliError> {
        let ours = self.setup.paths()?;
        env_files::must_be_here(ours)?;
        for name in self.reading().names("env", "env file", report) {
            let inside = format!("env/{name}");
            let Some(agent) = name.strip_suffix(".env").filter(|agent| is_plain(agent)) else {
                report.add(Fate::Skipped, "env file", inside, "it is no env file");
                continue;
            };
            let Some(text) = self.plain_text("env file", &inside, report) else { continue };
            if self.is_own {
                match Variables::read(ours, Some(agent)) {
                    Ok(_) => {
                        report.add(Fate::Present, "env file", inside, "it is read where it is");
                    }
                    Err(error) => report.add(Fate::Skipped, "env file", inside, error.message()),
                }
                continue;
            }
            if !has_variables(&text) {
                report.add(Fate::Skipped, "env file", inside, "there are no variables in it");
                continue;
            }
            let path = ours.env().join(&name);
            let before = std::fs::read_to_string(&path).ok();
            if before.as_deref() == Some(&*text) {
                report.add(Fate::Present, "env file", inside, "");
                continue;
            }
            if before.as_deref().is_some_and(has_variables) {
                let note = "there are variables in the one here, which stay; see `kugetsu env set`";
                report.add(Fate::Skipped, "env file", inside, note);
                continue;
            }
            if self.dry_run {
                report.add(Fate::Imported, "env file", inside, "");
                continue;
            }
            let told = |error| CliError::io(format_args!("write {}", path.display()), &error);
            paths::replace(&path, &text).map_err(told)?;
            let Err(error) = Variables::read(ours, Some(agent)) else {
                report.add(Fate::Imported, "env file", inside, "");
                continue;
            };
            // What cannot be read would stop every other command.
            match before {
                Some(before) => paths::replace(&path, &before).map_err(told)?,
                None => std::fs::remove_file(&path).map_err(told)?,
            }
            report.add(Fate::Skipped, "env file", inside, error.message());
        }
        Ok(())
    }

    pub(super) fn repositories(&self, report: &mut Report) -> Result<(), CliError> {
        const NAME: &str = "repos.json";
        let Some(value) = self.reading().document("repositories", NAME, report) else {
            return Ok(());
        };
        let Value::Object(all) = value else {
            report.add(Fate::Skipped, "repositories", NAME, "it is no JSON object");
            return Ok(());
        };
        let ours = self.setup.paths()?.sources();
        let known = repositories::known(&ours);
        for (reference, value) in all {
            let address =
                value.as_str().map(str::to_owned).or(field(&value, &["url", "clone_url"]));
            let read = || -> Result<(RepoRef, Source), String> {
                let repository = RepoRef::parse(&reference, self.server.as_deref());
                let repository = repository.map_err(|error| error.why)?;
                let address = address.ok_or("it has no address")?;
                Ok((repository, Source::parse(&address).map_err(|error| error.why)?))
            };
            let (repository, source) = match read() {
                Ok(read) => read,
                Err(why) => {
                    report.add(Fate::Skipped, "repository", &*reference, why);
                    continue;
                }
            };
            let name = repository.to_string();
            match known.get(&name) {
                Some(there) if there == source.as_str() => {
                    report.add(Fate::Present, "repository", name, "");
                }
                Some(_) => {
                    let note = "another address is known here, which stays";
                    report.add(Fate::Skipped, "repository", name, note);
                }
                // The file is the very one that would be written to.
                None if self.is_own => {
                    let note = format!("write it as {name:?}: \"<address>\"");
                    report.add(Fate::Skipped, "repository", &*reference, note);
                }
                None => {
                    if !self.dry_run {
                        crate::repositories::remember(self.setup, &repository, source.as_str())?;
                    }
                    report.add(Fate::Imported, "repository", name, "");
                }
            }
        }
        Ok(())
    }

    fn plain_text(&self, what: &'static str, inside: &str, report: &mut Report) -> Option<String> {
        match self.old.text(inside) {
            Found::Missing => None,
            Found::Text(text) => Some(text.replace("\r\n", "\n")),
            Found::Unfit(why) => {
                report.add(Fate::Skipped, what, inside, why);
                None
            }
        }
    }
}

fn has_variables(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a file may be called so: no directory, no option, nothing hidden.
fn is_plain(agent: &str) -> bool {
    !agent.is_empty()
        && !agent.starts_with(['-', '.'])
        && agent.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
