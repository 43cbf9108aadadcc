//! Issues and repositories, taken apart so that no plugin has to read references.

use kugetsu_core::{IssueRef, RepoRef};
use schemars::JsonSchema;
use serde::Serialize;

/// An issue. Its texts hold nothing but ASCII letters, digits, `.`, `_`, `-`, and where it is said
/// `/`, `:` and `#`; no part starts with `-` or `.`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IssueRef")]
pub(crate) struct IssueDto {
    /// All of it: `github.com/acme/widgets#42`. What else is here can be read from it.
    #[serde(rename = "ref")]
    #[schemars(rename = "ref")]
    pub(crate) reference: String,
    /// The repository that it belongs to.
    pub(crate) repository: RepositoryDto,
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its name as the name of a file or directory, of at most 180 bytes. No other issue has the same
    /// one, not even on a file system that ignores case.
    pub(crate) stem: String,
    /// Its own branch: `fix/issue-42`.
    pub(crate) branch: String,
}

/// A repository.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RepositoryRef")]
pub(crate) struct RepositoryDto {
    /// All of it: `github.com/acme/widgets`.
    #[serde(rename = "ref")]
    #[schemars(rename = "ref")]
    pub(crate) reference: String,
    /// The server, with `:` and its port if it has one.
    pub(crate) host: String,
    /// Who owns it: one or several components, with `/` between them.
    pub(crate) owner: String,
    /// Its own name, which does not end in `.git`.
    pub(crate) name: String,
}

impl IssueDto {
    pub(crate) fn of(issue: &IssueRef) -> Self {
        Self {
            reference: issue.to_string(),
            repository: RepositoryDto::of(issue.repository()),
            number: issue.number(),
            stem: issue.stem(),
            branch: issue.branch(),
        }
    }
}

impl RepositoryDto {
    pub(crate) fn of(repository: &RepoRef) -> Self {
        Self {
            reference: repository.to_string(),
            host: repository.host().to_owned(),
            owner: repository.owner().to_owned(),
            name: repository.name().to_owned(),
        }
    }
}
