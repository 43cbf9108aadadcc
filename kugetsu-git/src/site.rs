//! Where things are.

use std::io;
use std::path::{Path, PathBuf};

use kugetsu_core::{IssueRef, RepoRef, WorktreeError};

use crate::fault::Doing;
use crate::gone::GONE;
use crate::scratch::make_directory;

/// The two directories below which everything is.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    pub(crate) worktrees: PathBuf,
    pub(crate) repositories: PathBuf,
}

impl Roots {
    /// The same directories, made if they are not there, without symbolic links in their paths.
    pub(crate) fn make(&self) -> Result<Self, WorktreeError> {
        for root in [&self.worktrees, &self.repositories] {
            make_directory(root).doing(|| format!("make {}", root.display()))?;
        }
        self.there().map(|roots| roots.unwrap_or_else(|| self.clone()))
    }

    /// The same directories without symbolic links in their paths; `None` if one is not there.
    pub(crate) fn there(&self) -> Result<Option<Self>, WorktreeError> {
        let real = |root: &Path| match root.canonicalize() {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(|| format!("find {}", root.display())),
        };
        let (worktrees, repositories) = (real(&self.worktrees)?, real(&self.repositories)?);
        Ok(worktrees
            .zip(repositories)
            .map(|(worktrees, repositories)| Self { worktrees, repositories }))
    }

    /// Where the clone of `repository` is.
    pub(crate) fn clone_of(&self, repository: &RepoRef) -> PathBuf {
        let mut path = self.repositories.join(repository.host());
        path.extend(repository.owner().split('/'));
        path.join(format!("{}.git", repository.name()))
    }
}

/// The places of one issue. No name here is one that a reference could make: references hold no
/// component that starts with `.` or ends with `.git`.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) issue: IssueRef,
    /// The issue's name as a file name.
    pub(crate) stem: String,
    /// The worktree.
    pub(crate) tree: PathBuf,
    /// The bare clone.
    pub(crate) clone: PathBuf,
    worktrees: PathBuf,
}

impl Site {
    pub(crate) fn new(roots: &Roots, issue: &IssueRef) -> Self {
        let stem = issue.stem();
        Self {
            issue: issue.clone(),
            tree: roots.worktrees.join(&stem),
            clone: roots.clone_of(issue.repository()),
            worktrees: roots.worktrees.clone(),
            stem,
        }
    }

    /// The worktree's administration in the clone.
    pub(crate) fn entry(&self) -> PathBuf {
        self.clone.join("worktrees").join(&self.stem)
    }

    /// The branch's full name.
    pub(crate) fn branch(&self) -> String {
        format!("refs/heads/{}", self.issue.branch())
    }

    /// The lock of whoever makes or removes the worktree.
    pub(crate) fn lock(&self) -> PathBuf {
        self.worktrees.join(format!(".{}.lock", self.stem))
    }

    /// Where the worktree was last seen.
    pub(crate) fn last(&self) -> PathBuf {
        self.worktrees.join(format!(".{}.last", self.stem))
    }

    /// The worktree while it is made.
    pub(crate) fn new_tree(&self) -> PathBuf {
        self.worktrees.join(format!(".{}.new", self.stem))
    }

    /// The worktree while it is deleted.
    pub(crate) fn old_tree(&self) -> PathBuf {
        self.worktrees.join(format!(".{}.old", self.stem))
    }

    /// Where what was removed waits to be deleted.
    pub(crate) fn gone(&self, number: u32) -> PathBuf {
        self.worktrees.join(format!(".{}.{number}.{GONE}", self.stem))
    }

    /// The directory that it is all in.
    pub(crate) fn root(&self) -> &Path {
        &self.worktrees
    }

    /// What was moved aside when the worktree was mended.
    pub(crate) fn aside(&self) -> PathBuf {
        self.worktrees.join(format!(".{}.rescue", self.stem))
    }

    /// The administration while it is made.
    pub(crate) fn new_entry(&self) -> PathBuf {
        self.clone.join("kugetsu").join(format!("{}.new", self.stem))
    }

    /// The git directory of the checkout.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.clone.join("kugetsu").join(format!("{}.git", self.stem))
    }
}

/// A hidden place beside a clone: `.widgets.lock` beside `widgets.git`.
pub(crate) fn beside(clone: &Path, what: &str) -> PathBuf {
    let name = clone.file_stem().unwrap_or_default().to_string_lossy();
    clone.with_file_name(format!(".{name}.{what}"))
}
