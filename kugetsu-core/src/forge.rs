//! Forges: where issues and pull requests are.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Retry, Source};
use crate::issue::{InvalidIssueRef, IssueRef, RepoRef};
use crate::time::Timestamp;

/// What somebody is to a repository, from the nearest to the farthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Association {
    /// Owns it.
    Owner,
    /// Belongs to the organisation that owns it.
    Member,
    /// Was invited to work on it.
    Collaborator,
    /// Has had a change merged into it.
    Contributor,
    /// Anybody else, and whoever the forge does not tell of.
    Stranger,
}

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Author {
    /// The account's name.
    pub name: String,
    /// What it is to the repository.
    pub association: Association,
}

impl Author {
    /// The account of this name.
    pub fn new(name: impl Into<String>, association: Association) -> Self {
        Self { name: name.into(), association }
    }
}

/// A comment on an issue. Its text is whatever its author wrote: untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Comment {
    /// The forge's own id of it.
    pub id: String,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub text: String,
    /// When it was written.
    pub at: Timestamp,
}

impl Comment {
    /// A comment.
    pub fn new(
        id: impl Into<String>,
        author: Author,
        text: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Self { id: id.into(), author, text: text.into(), at }
    }
}

/// An issue with its comments, oldest first. All its texts are whatever people wrote: untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Issue {
    /// Which issue.
    pub issue: IssueRef,
    /// Its address, for people.
    pub address: String,
    /// Its title.
    pub title: String,
    /// What it says.
    pub text: String,
    /// Who wrote it.
    pub author: Author,
    /// Whether it is open.
    pub open: bool,
    /// Its labels, as they are written.
    pub labels: Vec<String>,
    /// What was said about it.
    pub comments: Vec<Comment>,
}

impl Issue {
    /// An open issue without a text and without comments.
    pub fn new(issue: IssueRef, title: impl Into<String>, author: Author) -> Self {
        Self {
            issue,
            address: String::new(),
            title: title.into(),
            text: String::new(),
            author,
            open: true,
            labels: Vec::new(),
            comments: Vec::new(),
        }
    }
}

/// A pull request, or a merge request as GitLab calls it: `github.com/acme/widgets!7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PullRef {
    repository: RepoRef,
    number: u64,
}

impl PullRef {
    /// Pull request `number` of `repository`; `None` if the number is 0.
    pub fn new(repository: RepoRef, number: u64) -> Option<Self> {
        (number > 0).then_some(Self { repository, number })
    }

    /// The repository that it wants to change.
    pub fn repository(&self) -> &RepoRef {
        &self.repository
    }

    /// Its number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for PullRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}", self.repository, self.number)
    }
}

impl FromStr for PullRef {
    type Err = InvalidIssueRef;

    /// Reads a pull request's address: `https://host/owner/repo/pull/7`, Gitea's `/pulls/7` or
    /// GitLab's `/-/merge_requests/7`, with whatever may follow; or what it shows, `host/owner/repo!7`.
    fn from_str(text: &str) -> Result<Self, InvalidIssueRef> {
        let refused = || {
            InvalidIssueRef::new(
                text,
                "a pull request's address is https://host/owner/repo/pull/7, \
                 https://host/owner/repo/pulls/7 or https://host/owner/repo/-/merge_requests/7",
            )
        };
        let is_number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let plain = text.split(['?', '#']).next().unwrap_or_default();
        let (repository, number) = match plain.rsplit_once('!') {
            Some(parts) => parts,
            None => ["/-/merge_requests/", "/merge_requests/", "/pulls/", "/pull/"]
                .iter()
                .filter_map(|kind| plain.rsplit_once(kind))
                .map(|(repository, rest)| (repository, rest.split('/').next().unwrap_or_default()))
                // Owners and repositories may be called `pulls`, too.
                .find(|(_, number)| is_number(number))
                .ok_or_else(refused)?,
        };
        let number = number.parse().ok().filter(|_| is_number(number)).ok_or_else(refused)?;
        Self::new(RepoRef::parse(repository, None)?, number).ok_or_else(refused)
    }
}

/// What has become of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PullState {
    /// It waits to be reviewed or merged.
    Open,
    /// Its changes are in.
    Merged,
    /// It was given up.
    Closed,
}

/// A pull request as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullRequest {
    /// Which.
    pub pull: PullRef,
    /// Its address, for people.
    pub address: String,
    /// Its title.
    pub title: String,
    /// What has become of it.
    pub state: PullState,
    /// The branch that it brings.
    pub head: String,
    /// The branch that it is to be merged into.
    pub base: String,
}

impl PullRequest {
    /// A pull request without a title.
    pub fn new(
        pull: PullRef,
        state: PullState,
        head: impl Into<String>,
        base: impl Into<String>,
    ) -> Self {
        Self {
            pull,
            address: String::new(),
            title: String::new(),
            state,
            head: head.into(),
            base: base.into(),
        }
    }
}

/// A pull request that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// Of which repository.
    pub repository: RepoRef,
    /// The branch that it brings, which is there already.
    pub head: String,
    /// The branch that it is to be merged into; `None` is the repository's default branch.
    pub base: Option<String>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
}

impl Proposal {
    /// A pull request from `head` into the default branch.
    pub fn new(repository: RepoRef, head: impl Into<String>, title: impl Into<String>) -> Self {
        Self { repository, head: head.into(), base: None, title: title.into(), text: String::new() }
    }
}

/// Reads issues, and says something about them.
///
/// # Promises
///
/// * What is read is complete: all comments, however many pages they fill.
/// * A comment with a key is written at most once, also if an earlier answer was lost: it carries a
///   hidden mark made of the key, which is looked for first.
/// * No token stands in an error, and none is sent to another server than its own.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::forge_conformance!`.
#[async_trait]
pub trait IssueTracker: fmt::Debug + Send + Sync + 'static {
    /// The issue with all its comments.
    async fn fetch(&self, issue: &IssueRef) -> Result<Issue, ForgeError>;

    /// Writes the comment unless one with this key is there, and returns its address either way.
    async fn comment(&self, issue: &IssueRef, key: &str, text: &str) -> Result<String, ForgeError>;
}

/// Reads and opens pull requests.
///
/// # Promises
///
/// * Of one branch there is at most one open pull request, also if an earlier answer was lost.
/// * No token stands in an error, and none is sent to another server than its own.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::forge_conformance!`.
#[async_trait]
pub trait Forge: fmt::Debug + Send + Sync + 'static {
    /// The pull request as it is now.
    async fn pull_request(&self, pull: &PullRef) -> Result<PullRequest, ForgeError>;

    /// Opens the pull request, or returns the open one that brings this branch already.
    async fn propose(&self, proposal: &Proposal) -> Result<PullRequest, ForgeError>;
}

/// Why a forge did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// There is no such thing, or this account may not see it.
    #[error("{what} is not there, or cannot be seen with the token at hand")]
    NotFound {
        /// The issue, pull request or repository.
        what: String,
    },
    /// The forge does not know the account, or does not let it do this.
    #[error("{what} was refused: {why}")]
    Denied {
        /// What was asked, naming the thing.
        what: String,
        /// What the forge said, and how to mend it.
        why: String,
    },
    /// The forge takes no more requests until this has passed.
    #[error("{forge} takes no more requests for {} s", wait_millis.div_ceil(1000))]
    Limited {
        /// Which forge.
        forge: String,
        /// How long to wait, in milliseconds.
        wait_millis: u64,
    },
    /// The forge cannot do that.
    #[error("{who} cannot {operation}")]
    Unsupported {
        /// Which forge.
        who: String,
        /// What was asked.
        operation: String,
    },
    /// The forge's own fault, or the network's.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which forge.
        who: String,
        /// What it was asked, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl ForgeError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::NotFound { .. } | Self::Denied { .. } | Self::Unsupported { .. } => Retry::Never,
            Self::Limited { wait_millis, .. } => Retry::After { millis: *wait_millis },
            Self::Backend { retry, .. } => *retry,
        }
    }
}
