//! The env files: variables for agents, and the secrets that settings name.

mod file;
mod format;
mod glean;
mod inherited;
mod loaders;
mod names;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use kugetsu_opencode::Environment;
use kugetsu_queue::Mask;

use crate::errors::CliError;
use crate::paths::Paths;

pub(crate) use names::{is_agent, refused};

/// The file of everybody.
pub(crate) const DEFAULT: &str = "default";
/// The PM's, over that of everybody.
pub(crate) const PM: &str = "pm-agent";

/// Names that contain one of these hold secrets.
const SECRET: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY"];

/// Variables of the env files. It holds secrets and has no `Debug`.
#[derive(Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of `default.env`, and over them those of another file, such as `pm-agent`.
    pub(crate) fn read(paths: &Paths, over: Option<&str>) -> Result<Self, CliError> {
        let mut all = BTreeMap::new();
        for name in std::iter::once(DEFAULT).chain(over) {
            all.extend(Self::of(paths, name)?.unwrap_or_default());
        }
        Ok(Self(all))
    }

    /// Those of one file alone; `None` if there is no such file.
    pub(crate) fn of(
        paths: &Paths,
        agent: &str,
    ) -> Result<Option<BTreeMap<String, String>>, CliError> {
        let path = path(paths, agent);
        let Some(text) = file::text(&path)? else { return Ok(None) };
        let all = file::parsed(&path, &text)?;
        Ok(Some(all.into_iter().map(|one| (one.name, one.value)).collect()))
    }

    /// The variable of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values that nobody may see.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str())
    }
}

/// Masks every secret that agents may come across: those of the env files, those of kugetsu's own
/// environment, and the variables of these names in either. A file that is not right is an error.
pub(crate) fn mask<'a>(
    paths: &Paths,
    environment: &BTreeMap<OsString, OsString>,
    named: impl Iterator<Item = &'a str>,
) -> Result<Mask, CliError> {
    let mut files = Vec::new();
    // Also what another file sets over, since an agent may have seen it.
    for agent in agents(paths)? {
        files.extend(Variables::of(paths, &agent)?.map(Variables));
    }
    Ok(mask_of(&files, &[], environment, named))
}

/// The same of whatever can be read, for the screen: what is wrong with one file takes the mask off
/// nothing. A text in a file that is no variable is taken for a secret.
pub(crate) fn mask_of_what_is_there<'a>(
    paths: Option<&Paths>,
    environment: &BTreeMap<OsString, OsString>,
    named: impl Iterator<Item = &'a str>,
) -> Mask {
    let gleaned = paths.map(|paths| glean::all(&paths.env())).unwrap_or_default();
    mask_of(&gleaned.files, &gleaned.texts, environment, named)
}

fn mask_of<'a>(
    files: &[Variables],
    texts: &[String],
    environment: &BTreeMap<OsString, OsString>,
    named: impl Iterator<Item = &'a str>,
) -> Mask {
    let named: Vec<&str> = named
        .flat_map(|name| {
            let own = environment.get(OsStr::new(name)).and_then(|value| value.to_str());
            files.iter().filter_map(move |file| file.get(name)).chain(own)
        })
        .collect();
    let of_files = files.iter().flat_map(Variables::secrets).chain(named);
    let own = environment.iter().filter(|(name, _)| is_secret(&name.to_string_lossy()));
    let own = own.filter_map(|(_, value)| value.to_str());
    Mask::new(of_files.chain(texts.iter().map(String::as_str)).chain(own))
}

/// Refuses if the directory of the env files is a link, which may lead anywhere.
pub(crate) fn must_be_here(paths: &Paths) -> Result<(), CliError> {
    file::must_be_no_link(&paths.env())
}

/// The env file of this agent.
pub(crate) fn path(paths: &Paths, agent: &str) -> PathBuf {
    paths.env().join(format!("{agent}.env"))
}

/// Whose env files there are, by name.
pub(crate) fn agents(paths: &Paths) -> Result<Vec<String>, CliError> {
    let directory = paths.env();
    file::must_be_no_link(&directory)?;
    let failed =
        |error| CliError::io(format_args!("read the directory {}", directory.display()), &error);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let agent = name.to_str().and_then(|name| name.strip_suffix(".env"));
        all.extend(agent.filter(|agent| is_agent(agent)).map(str::to_owned));
    }
    all.sort();
    Ok(all)
}

/// Sets a variable in an agent's file, which is made if there is none.
pub(crate) fn set(paths: &Paths, agent: &str, name: &str, value: &str) -> Result<(), CliError> {
    let path = path(paths, agent);
    file::change(&path, |text| format::set(text, name, value).map(Some)).map(|_| ())
}

/// Removes a variable from an agent's file, and says whether it was there.
pub(crate) fn remove(paths: &Paths, agent: &str, name: &str) -> Result<bool, CliError> {
    let path = path(paths, agent);
    if !path.exists() {
        return Ok(false);
    }
    file::change(&path, |text| format::without(text, name))
}

/// Whether a variable may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    names::is_name(text)
}

/// The changes that make an agent's environment of ours: what is not on the list of those that are
/// inherited stays behind, and over it come the variables of the files.
pub(crate) fn environment<'a>(
    ours: impl Iterator<Item = &'a OsString>,
    more: &str,
    variables: &Variables,
    base: Environment,
) -> Environment {
    let more: Vec<&str> = more.split([',', ' ']).filter(|name| !name.is_empty()).collect();
    let foreign =
        ours.filter(|name| name.to_str().is_none_or(|name| !inherited::is_inherited(name, &more)));
    let environment = foreign.cloned().fold(base, Environment::without);
    variables.0.iter().fold(environment, |all, (name, value)| all.with(name, value))
}

/// Whether a variable of this name holds a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
