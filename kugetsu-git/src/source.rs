//! Where repositories come from.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use kugetsu_core::RepoRef;

/// Says where a repository is cloned from.
pub trait Sources: fmt::Debug + Send + Sync + 'static {
    /// The source of `repository`. The error says why there is none, and how to mend it.
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource>;
}

/// What a repository is cloned from: an address, or an absolute path on this machine.
///
/// It holds no password and can neither look like an option nor name a program, so it may be shown
/// and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

/// Why something is no source of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
#[non_exhaustive]
pub struct InvalidSource {
    /// What is wrong, and what is right. Holds no secret.
    pub why: String,
}

impl InvalidSource {
    /// A source that is wrong for the reason `why`.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl Source {
    /// Reads an address (`https`, `http`, `ssh`, `git`, `file` or `user@host:path`) or an absolute
    /// path.
    pub fn parse(text: &str) -> Result<Self, InvalidSource> {
        let refuse = |why: &str| Err(InvalidSource::new(why));
        if text.is_empty() {
            return refuse("the address is empty");
        }
        if text.chars().any(char::is_control) {
            return refuse("the address has a control character in it");
        }
        if text.starts_with('-') {
            return refuse("the address starts with `-`, like an option");
        }
        if text.starts_with('/') {
            return Ok(Self(text.into()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            if !matches!(scheme.as_str(), "https" | "http" | "ssh" | "git" | "file") {
                return refuse(
                    "the address is neither https, http, ssh, git nor file, nor an absolute path",
                );
            }
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            check_host(&scheme, host)?;
            return Ok(Self(text.into()));
        }
        // What is left is `user@host:path`; `name::…` would start a program of that name.
        let Some((host, path)) = text.split_once(':') else {
            return refuse("it is no address, and as a path it is not absolute");
        };
        if host.contains('/') || path.starts_with(':') || path.is_empty() || host.is_empty() {
            return refuse("it is no address, and as a path it is not absolute");
        }
        if host.rsplit('@').next().is_none_or(|name| name.is_empty() || name.starts_with('-')) {
            return refuse("the host in the address is empty or starts with `-`, like an option");
        }
        Ok(Self(text.into()))
    }

    /// The address or path as git takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longer user names are taken for tokens.
const LONGEST_USER: usize = 24;

fn check_host(scheme: &str, host: &str) -> Result<(), InvalidSource> {
    let (user, name) = host.rsplit_once('@').unwrap_or(("", host));
    if user.contains(':') || user.contains("%3a") || user.contains("%3A") {
        return Err(InvalidSource::new(
            "the address has a password in it; leave it out and let git's credential helper give it",
        ));
    }
    if matches!(scheme, "http" | "https") && user.len() > LONGEST_USER {
        return Err(InvalidSource::new(
            "the user name in the address looks like a token; leave it out and let git's credential \
             helper give it",
        ));
    }
    if name.starts_with('-') || (name.is_empty() && scheme != "file") {
        return Err(InvalidSource::new("the address has no host, or one that starts with `-`"));
    }
    Ok(())
}

/// Every repository comes from its own server: `https://host/owner/repo.git`.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpsSources;

impl Sources for HttpsSources {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        Source::parse(&format!("https://{repository}.git"))
    }
}

/// A list of repositories and where they come from; for all others somebody else is asked.
#[derive(Debug, Clone)]
pub struct RepositoryMap {
    sources: BTreeMap<RepoRef, Source>,
    others: Arc<dyn Sources>,
}

impl RepositoryMap {
    /// An empty list; `others` is asked about everything that is not on it.
    pub fn new(others: Arc<dyn Sources>) -> Self {
        Self { sources: BTreeMap::new(), others }
    }

    /// Reads a list: a JSON object of references and addresses, such as
    /// `{"github.com/acme/widgets": "git@github.com:acme/widgets.git"}`.
    /// A mistake is told with the reference that it belongs to.
    pub fn parse(json: &str, others: Arc<dyn Sources>) -> Result<Self, InvalidSource> {
        let list: BTreeMap<String, String> = serde_json::from_str(json).map_err(|error| {
            InvalidSource::new(format!(
                "it is no JSON object of references and addresses (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        list.into_iter().try_fold(Self::new(others), |map, (reference, address)| {
            let repository: RepoRef = reference
                .parse()
                .map_err(|error| InvalidSource::new(format!("{reference:?}: {error}")))?;
            let source = Source::parse(&address)
                .map_err(|error| InvalidSource::new(format!("{reference:?}: {error}")))?;
            Ok(map.with(repository, source))
        })
    }

    /// Reads a list from a file, usually `repos.json`. A file that is not there is an empty list.
    pub fn read(path: &Path, others: Arc<dyn Sources>) -> Result<Self, InvalidSource> {
        let told =
            |why: &dyn fmt::Display| InvalidSource::new(format!("{}: {why}", path.display()));
        // A pipe would keep everybody waiting.
        if path.metadata().is_ok_and(|about| !about.is_file()) {
            return Err(told(&"it is no plain file"));
        }
        match std::fs::read_to_string(path) {
            Ok(json) => Self::parse(&json, others).map_err(|error| told(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::new(others)),
            Err(error) => Err(told(&error)),
        }
    }

    /// What is on the list, and where it comes from.
    pub fn iter(&self) -> impl Iterator<Item = (&RepoRef, &Source)> {
        self.sources.iter()
    }

    /// The list with `repository` on it.
    pub fn with(mut self, repository: RepoRef, source: Source) -> Self {
        self.sources.insert(repository, source);
        self
    }
}

impl Sources for RepositoryMap {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        match self.sources.get(repository) {
            Some(source) => Ok(source.clone()),
            None => self.others.source(repository),
        }
    }
}
