//! Where repositories are cloned from: `repos.json`, then the git servers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kugetsu_core::RepoRef;
use kugetsu_git::{GitWorktrees, HttpsSources, InvalidSource, RepositoryMap, Source, Sources};

use crate::errors::CliError;
use crate::here;
use crate::paths::{self, Paths};
use crate::servers::Servers;
use crate::setup::Setup;

/// Where repositories come from: the list in `repos.json` first, then the server that is meant, then
/// the host itself. Both files are read each time, so that a change holds at once.
#[derive(Debug, Clone)]
pub(crate) struct Repositories {
    list: PathBuf,
    servers: PathBuf,
}

impl Repositories {
    /// Those of these paths. A mistake in one of the files is told now.
    pub(crate) fn open(paths: &Paths) -> Result<Self, CliError> {
        let repositories = Self { list: paths.sources(), servers: paths.servers() };
        Servers::read(&repositories.servers)?;
        repositories.map(Arc::new(HttpsSources)).map_err(|error| CliError::config(error.why))?;
        Ok(repositories)
    }

    /// Which repositories a remote's address is of: those that come from just there, and the one that
    /// the address names.
    pub(crate) fn of_remote(&self, url: &str) -> Result<Vec<RepoRef>, CliError> {
        let list = self.map(Arc::new(HttpsSources)).map_err(|error| CliError::config(error.why))?;
        let servers = Servers::read(&self.servers)?;
        let named = servers.repository(url);
        let listed = list.iter().filter(|(_, source)| is_one(source.as_str(), url));
        let listed = listed.map(|(repository, _)| repository.clone());
        // The last one is the likeliest: what somebody has written down.
        Ok(named.into_iter().chain(listed).collect())
    }

    fn map(&self, others: Arc<dyn Sources>) -> Result<RepositoryMap, InvalidSource> {
        RepositoryMap::read(&self.list, others)
    }
}

impl Sources for Repositories {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        let servers = Servers::read(&self.servers)
            .map_err(|error| InvalidSource::new(error.message().to_owned()))?;
        self.map(Arc::new(OnServers(servers)))?.source(repository)
    }
}

/// Whether both are one address or one path.
fn is_one(source: &str, url: &str) -> bool {
    let real = |text: &str| text.starts_with('/').then(|| Path::new(text).canonicalize().ok());
    source == url || real(source).flatten().is_some_and(|path| real(url).flatten() == Some(path))
}

/// Repositories that come from their servers.
#[derive(Debug)]
struct OnServers(Servers);

impl Sources for OnServers {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        match self.0.clone_url(repository) {
            Some(url) => Source::parse(&url),
            None => HttpsSources.source(repository),
        }
    }
}

/// The worktrees of git, of the repositories of these paths.
pub(crate) fn worktrees(setup: &Setup, paths: &Paths) -> Result<GitWorktrees, CliError> {
    let repositories = Repositories::open(paths)?;
    let sources = Arc::new(repositories.clone());
    let git = GitWorktrees::new(paths.worktrees(), paths.clones(), sources);
    let git = here::lent(setup, &repositories, git)?;
    Ok(match setup.variables_of_others() {
        Some(others) => others.iter().fold(git, |git, (n, v)| git.with_variable(n, v)),
        None => git,
    })
}

/// Remembers that `repository` comes from `given`, an address or a path. Worktrees made from now on
/// know it.
pub(crate) fn remember(setup: &Setup, repository: &RepoRef, given: &str) -> Result<(), CliError> {
    let (file, source) = (&setup.paths()?.sources(), source(given, &setup.around().directory)?);
    let failed = |error| CliError::io(format_args!("write {}", file.display()), &error);
    // Two commands that remember at once must not forget one another's.
    let _lock = paths::lock_beside(file).map_err(failed)?;
    let text = match crate::paths::read(file) {
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
    let text = crate::paths::read(file).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_comes_before_the_servers_and_they_before_the_host_itself() {
        let home = tempfile::tempdir().unwrap();
        let (list, servers) = (home.path().join("repos.json"), home.path().join("servers.json"));
        let all = Repositories { list: list.clone(), servers: servers.clone() };
        let from = |text: &str| {
            let source = all.source(&text.parse().unwrap());
            source.map(|source| source.to_string()).map_err(|error| error.why)
        };
        assert_eq!(from("github.com/a/b").unwrap(), "https://github.com/a/b.git");
        assert_eq!(from("git.example.com/a/b").unwrap(), "https://git.example.com/a/b.git");
        // What is changed holds at once.
        Servers::change(&servers, |all| {
            let server = |url: &str| crate::servers::Server::new(url.parse().unwrap());
            all.add("git.example.com".parse().unwrap(), server("https://10.0.0.3:3000/git"))?;
            all.add("here".parse().unwrap(), server("http://localhost:4000"))
        })
        .unwrap();
        assert_eq!(from("git.example.com/a/b").unwrap(), "https://10.0.0.3:3000/git/a/b.git");
        assert_eq!(from("localhost:4000/a/b/c").unwrap(), "http://localhost:4000/a/b/c.git");
        std::fs::write(&list, r#"{"git.example.com/a/b": "git@elsewhere.example:a/b.git"}"#)
            .unwrap();
        assert_eq!(from("git.example.com/a/b").unwrap(), "git@elsewhere.example:a/b.git");
        assert_eq!(from("git.example.com/a/c").unwrap(), "https://10.0.0.3:3000/git/a/c.git");
        std::fs::write(&servers, "{").unwrap();
        assert!(from("git.example.com/a/c").unwrap_err().contains("servers.json:1:1"));
    }
}
