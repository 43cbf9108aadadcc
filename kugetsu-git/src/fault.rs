//! Errors: what could not be done, with which thing, and how to mend it.

use std::io;

use kugetsu_core::error::Source;
use kugetsu_core::{Retry, WorktreeError};

pub(crate) const WHO: &str = "git";

/// A failure of the provider itself.
pub(crate) fn backend(
    operation: impl Into<String>,
    retry: Retry,
    source: impl Into<Source>,
) -> WorktreeError {
    WorktreeError::Backend {
        who: WHO.into(),
        operation: operation.into(),
        retry,
        source: source.into(),
    }
}

/// Says what was being done when an error came from below.
pub(crate) trait Doing<T> {
    /// The same result, its error telling what could not be done.
    fn doing<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T, WorktreeError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T, WorktreeError> {
        self.map_err(|error| {
            let retry = match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Retry::Never,
                _ => Retry::Later,
            };
            backend(operation(), retry, error)
        })
    }
}

impl<T> Doing<T> for Result<T, git2::Error> {
    fn doing<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T, WorktreeError> {
        self.map_err(|error| match missing_ability(error.message()) {
            Some(ability) => WorktreeError::Unsupported {
                who: WHO.into(),
                operation: format!("{}: {ability}", operation().into()),
            },
            None => backend(operation(), Retry::Later, error),
        })
    }
}

/// What libgit2 lacks, with the mend, if that is what its message says.
fn missing_ability(message: &str) -> Option<String> {
    let names_extension = message.contains("unsupported extension name");
    if names_extension || message.contains("object format") {
        let why = message.trim();
        return Some(format!(
            "{why}; partial clones, reftable and sha256 repositories cannot be read, \
             so unset the extension in the clone's config, or remove the clone to have it made again"
        ));
    }
    None
}

/// What `git` said when it could not get something from the remote, as an error with a mend.
pub(crate) fn refused(repository: &str, operation: &str, said: &str) -> WorktreeError {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let unsupported = says(&["mismatched algorithms", "unsupported object format"]);
    let unreachable = says(&[
        "could not resolve",
        "temporary failure in name resolution",
        "couldn't connect",
        "failed to connect",
        "connection refused",
        "connection reset",
        "connection closed by",
        "timed out",
        "network is unreachable",
        "no route to host",
        "early eof",
        "unexpected disconnect",
        "error: 429",
        "error: 5",
        "transfer closed",
        "operation too slow",
    ]);
    let passing = unreachable || says(&["no space left"]);
    let credentials = says(&[
        "authentication failed",
        "could not read username",
        "could not read password",
        "permission denied (",
        "terminal prompts disabled",
        "invalid username or password",
        "invalid username or token",
        "error: 401",
        "error: 403",
        "host key verification failed",
    ]);
    let missing = says(&[
        "not found",
        "does not appear to be a git repository",
        "does not exist",
        "no such file or directory",
        "not a git repository",
        "access denied",
    ]);
    let owner = says(&["dubious ownership"]);
    if unsupported {
        return WorktreeError::Unsupported {
            who: WHO.into(),
            operation: format!(
                "read {repository}: its object format is not sha1, the only one that libgit2 reads"
            ),
        };
    }
    let why = if credentials && !passing {
        format!(
            "{said}; git has no credentials for it: set up a credential helper \
             (`git config --global credential.helper …`) or an ssh key in the ssh agent, \
             and check that `git ls-remote` works with it"
        )
    } else if owner {
        format!("{said}; trust it with `git config --global --add safe.directory <path>`")
    } else if missing && !passing {
        format!("{said}; check its name, and that your credentials may read it")
    } else if unreachable {
        let why = format!("could not {operation}: {said}");
        return WorktreeError::Unreachable { repository: repository.to_owned(), why };
    } else {
        return backend(operation, Retry::Later, said.to_owned());
    };
    WorktreeError::NoRepository { repository: repository.to_owned(), why }
}
