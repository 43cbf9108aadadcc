//! Worktrees: the issue's own checkout, on the issue's own branch.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Retry, Source};
use crate::issue::IssueRef;

/// Makes and keeps worktrees, one an issue.
///
/// # Promises
///
/// * [`prepare`](WorktreeProvider::prepare) twice is preparing once: the same worktree, on the same
///   branch, with everything in it as it was left. Two preparing at once get the same one.
/// * Nothing here ever deletes uncommitted changes or commits that exist nowhere else, except
///   [`remove`](WorktreeProvider::remove) with [`Unsaved::Discard`].
/// * The operator's own checkout is never touched.
/// * A crash in the middle leaves nothing that the next `prepare` or `remove` cannot finish.
///
/// Which test holds which: `docs/promises.md`, and `kugetsu_testkit::worktree_provider_conformance!`.
#[async_trait]
pub trait WorktreeProvider: fmt::Debug + Send + Sync + 'static {
    /// Makes the worktree, or finds the one that is there. If its directory is gone but its branch
    /// is not, the worktree is made again from the branch.
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError>;

    /// What state the issue's worktree is in; `None` if there is none. Changes nothing.
    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError>;

    /// Removes the issue's worktree and, if all its commits are elsewhere too, its branch.
    /// Removing what is not there is done already. Work that exists nowhere else is kept, and told
    /// as [`WorktreeError::UnsavedWork`], unless it is to be discarded.
    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError>;

    /// All worktrees, by issue.
    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError>;

    /// Removes the halves of worktrees that processes have left which died while they made or removed
    /// one, and tells each in a line. Whoever is at it just now is left alone. A provider that leaves
    /// no halves has nothing to do.
    async fn recover(&self) -> Result<Vec<String>, WorktreeError> {
        Ok(Vec::new())
    }
}

/// What worktree is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorktreeSpec {
    /// For which issue.
    pub issue: IssueRef,
    /// The branch that the work starts from; `None` is the remote's default branch. It does not
    /// matter if the worktree or its branch is there already.
    pub base: Option<String>,
}

impl WorktreeSpec {
    /// A worktree for `issue` from the remote's default branch.
    pub fn new(issue: IssueRef) -> Self {
        Self { issue, base: None }
    }

    /// The branch that the work starts from.
    pub fn with_base(mut self, base: Option<String>) -> Self {
        self.base = base;
        self
    }
}

/// A worktree that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Worktree {
    /// Whose it is.
    pub issue: IssueRef,
    /// Where it is: an absolute path without symbolic links.
    pub path: PathBuf,
    /// The branch that is checked out in it.
    pub branch: String,
    /// The directory of the repository that it belongs to.
    pub repository: PathBuf,
    /// Whether this call made it.
    pub created: bool,
}

impl Worktree {
    /// A worktree that was there already.
    pub fn new(
        issue: IssueRef,
        path: impl Into<PathBuf>,
        branch: impl Into<String>,
        repository: impl Into<PathBuf>,
    ) -> Self {
        Self {
            issue,
            path: path.into(),
            branch: branch.into(),
            repository: repository.into(),
            created: false,
        }
    }

    /// Whether this call made it.
    pub fn with_created(mut self, created: bool) -> Self {
        self.created = created;
        self
    }
}

/// What state a worktree is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorktreeStatus {
    /// The worktree.
    pub worktree: Worktree,
    /// The commit that is checked out, in hexadecimal; `None` in a repository without commits.
    pub head: Option<String>,
    /// The branch that `ahead` counts from.
    pub base: Option<String>,
    /// Files changed, added or deleted and not committed, untracked ones included, ignored ones not.
    pub dirty: u32,
    /// Commits on the branch that are not on the base.
    pub ahead: u32,
    /// Commits on the branch that are on no branch of the remote.
    pub unpushed: u32,
}

impl WorktreeStatus {
    /// A clean worktree with no commits of its own.
    pub fn new(worktree: Worktree) -> Self {
        Self { worktree, head: None, base: None, dirty: 0, ahead: 0, unpushed: 0 }
    }

    /// Whether removing it would lose something.
    pub fn has_unsaved_work(&self) -> bool {
        self.dirty > 0 || self.unpushed > 0
    }
}

/// What becomes of work that exists nowhere else.
///
/// Exhaustive: nothing is kept by half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsaved {
    /// It is kept, and the removal refused.
    Keep,
    /// It is lost.
    Discard,
}

fn counted(number: u32, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Why a worktree could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorktreeError {
    /// Removing the worktree would lose work.
    #[error(
        "the worktree at {} has unsaved work: {}, {}",
        path.display(),
        counted(*dirty, "uncommitted file"),
        counted(*unpushed, "unpushed commit")
    )]
    UnsavedWork {
        /// Where it is.
        path: PathBuf,
        /// Files not committed.
        dirty: u32,
        /// Commits on no branch of the remote.
        unpushed: u32,
    },
    /// There is no such repository, or it cannot be read with the credentials at hand.
    #[error("the repository {repository} cannot be had: {why}")]
    NoRepository {
        /// Which repository.
        repository: String,
        /// What git said, and how to mend it.
        why: String,
    },
    /// The server that has the repository cannot be reached, or serves nobody for now. That has
    /// nothing to do with the task: its attempt is an [interruption](crate::Cause::Interruption).
    #[error("the repository {repository} cannot be reached: {why}")]
    Unreachable {
        /// Which repository.
        repository: String,
        /// What git said.
        why: String,
    },
    /// There is no such branch to start from.
    #[error("{repository} has no branch {branch} to start from")]
    NoBaseBranch {
        /// Which repository.
        repository: String,
        /// Which branch.
        branch: String,
    },
    /// Something stands where the worktree belongs and is not it.
    #[error("{} is in the way: {why}", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is, and how to mend it.
        why: String,
    },
    /// The provider cannot do that.
    #[error("{who} cannot {operation}")]
    Unsupported {
        /// Which provider.
        who: String,
        /// What was asked.
        operation: String,
    },
    /// The provider's own fault.
    #[error("{who} could not {operation}: {source}")]
    Backend {
        /// Which provider.
        who: String,
        /// What it was doing, naming the thing.
        operation: String,
        /// Whether trying again could help.
        retry: Retry,
        /// The error below.
        source: Source,
    },
}

impl WorktreeError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::UnsavedWork { .. }
            | Self::NoRepository { .. }
            | Self::NoBaseBranch { .. }
            | Self::InTheWay { .. }
            | Self::Unsupported { .. } => Retry::Never,
            Self::Unreachable { .. } => Retry::Later,
            Self::Backend { retry, .. } => *retry,
        }
    }
}
