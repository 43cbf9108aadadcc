//! Remembering where a repository is cloned from, in `repos.json`.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use kugetsu_core::RepoRef;
use kugetsu_git::Source;
use rustix::fs::{FlockOperation, flock};

use crate::errors::CliError;
use crate::paths;

/// Remembers that `repository` comes from `given`, an address or a path (from `directory`).
pub(crate) fn remember(
    file: &Path,
    repository: &RepoRef,
    given: &str,
    directory: &Path,
) -> Result<(), CliError> {
    let source = source(given, directory)?;
    let failed = |error| CliError::io(format_args!("write {}", file.display()), &error);
    // Two commands that remember at once must not forget one another's.
    let lock = file.with_extension("lock");
    let lock =
        OpenOptions::new().create(true).append(true).mode(0o600).open(lock).map_err(failed)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => "{}".to_owned(),
        Err(error) => {
            return Err(CliError::io(format_args!("read {}", file.display()), &error));
        }
    };
    let mut known: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|error| CliError::config(format!("{}: {error}", file.display())))?;
    let before = known.insert(repository.to_string(), source.as_str().to_owned());
    if before.as_deref() == Some(source.as_str()) {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&known)
        .map_err(|error| CliError::failed(format!("could not write repos.json: {error}")))?;
    paths::replace(file, &format!("{text}\n")).map_err(failed)
}

/// The addresses that are remembered, as far as the file can be read.
pub(crate) fn known(file: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn source(given: &str, directory: &Path) -> Result<Source, CliError> {
    let is_address =
        given.contains("://") || (given.contains(':') && !given.starts_with(['/', '.']));
    let text = if is_address {
        given.to_owned()
    } else {
        let path = directory.join(given);
        let path = path.canonicalize().map_err(|error| {
            CliError::usage(format!("--repo: {} cannot be used: {error}", path.display()))
        })?;
        path.into_os_string()
            .into_string()
            .map_err(|path| CliError::usage(format!("--repo: {} is not UTF-8", path.display())))?
    };
    Source::parse(&text).map_err(|error| CliError::usage(format!("--repo: {error}")))
}
