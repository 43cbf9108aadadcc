//! Settings, env files and where repositories come from.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_git::{HttpsSources, RepositoryMap};

use super::super::bounded::aside;
use super::super::finding::{
    Cure, ENV_INVALID, ENV_LOOSE, Finding, SETTINGS, SETTINGS_LEFT_OUT, SOURCES,
};
use super::directory::word;
use super::{Examination, Found};
use crate::env_files::Variables;
use crate::errors::CliError;
use crate::paths::Paths;
use crate::servers::Servers;

const PATIENCE: Duration = Duration::from_secs(10);

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let paths = of.setup.paths()?.clone();
    // The servers have a check of their own.
    let of_servers = Servers::read(&paths.servers()).err();
    let is_of_servers =
        |error: &&CliError| of_servers.as_ref().is_some_and(|s| s.message() == error.message());
    let mut found: Vec<Finding> = of
        .mistakes
        .iter()
        .filter(|error| !is_of_servers(error))
        .map(|error| {
            let mend = error.advice().unwrap_or("correct it; `kugetsu config list` shows them all");
            Finding::new(SETTINGS, error.message(), mend)
        })
        .collect();
    let flat = paths.flat_config();
    if let Some(left_out) = of.setup.settings()?.left_out(&word(&flat)) {
        let mend = "correct what was meant for kugetsu; all else may stay";
        found.push(Finding::new(SETTINGS_LEFT_OUT, left_out, mend));
    }
    match aside(PATIENCE, move || look(&paths)).await {
        Ok(more) => found.extend(more),
        Err(_) => return Err(CliError::failed("the env files cannot be read: they do not answer")),
    }
    Ok(found)
}

fn look(paths: &Paths) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut files: Vec<_> = fs::read_dir(paths.env())
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for path in files {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some(name) = name.strip_suffix(".env") else { continue };
        let Ok(about) = fs::metadata(&path) else { continue };
        if !about.is_file() {
            let text = format!("{} is no file", word(&path));
            found.push(Finding::new(ENV_INVALID, text, format!("mv {0} {0}.old", word(&path))));
            continue;
        }
        let mode = about.mode() & 0o7777;
        if mode & 0o077 != 0 {
            found.push(
                Finding::new(
                    ENV_LOOSE,
                    format!("{} can be read by others (mode {mode:o})", word(&path)),
                    format!("chmod 600 {}", word(&path)),
                )
                .cured_by(Cure::Mode(path, 0o600)),
            );
            continue;
        }
        if let Err(error) = Variables::of(paths, name) {
            let mend = error.advice().unwrap_or("correct it").to_owned();
            let finding = Finding::new(ENV_INVALID, error.message(), mend);
            if !found.iter().any(|other: &Finding| other.found == finding.found) {
                found.push(finding);
            }
        }
    }
    if let Err(error) = RepositoryMap::read(&paths.sources(), Arc::new(HttpsSources)) {
        found.push(Finding::new(
            SOURCES,
            error.to_string(),
            "correct it: {\"host/owner/repo\": \"address or path\"}",
        ));
    }
    found
}
