use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    IssueRef, RepoRef, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};

use crate::blocking::blocking;
use crate::checkout::{Checkout, Lender};
use crate::clone::Fetches;
use crate::git::Git;
use crate::inspect::inspect;
use crate::list::list;
use crate::prepare::prepare;
use crate::recover::recover;
use crate::remove::remove;
use crate::site::Roots;
use crate::source::Sources;

/// Worktrees of git, hanging off bare clones that kugetsu owns.
///
/// Any number of processes may use the same two directories at once. What it starts is ended when
/// the future that waits for it is dropped.
///
/// * A new worktree starts from the remote as it is now; if the remote cannot be reached, that is an
///   error, unless the issue's branch is here already.
/// * If the remote has a branch of the issue's name and we do not, the work goes on from that.
/// * If the agent has checked out another branch, it stays, and is the one that is told; it is
///   `HEAD` when the worktree is on no branch.
/// * LFS files are left as pointers, and submodules empty: fetching them could run what the
///   repository's content says. The agent can fetch them.
#[derive(Debug)]
pub struct GitWorktrees {
    pub(crate) roots: Roots,
    pub(crate) sources: Arc<dyn Sources>,
    pub(crate) git: Git,
    pub(crate) fetches: Fetches,
    pub(crate) lenders: BTreeMap<RepoRef, Lender>,
}

impl GitWorktrees {
    /// Worktrees below `worktrees` and clones below `repositories`, which are made when needed and
    /// only we can enter. Nothing else may be kept there.
    pub fn new(
        worktrees: impl Into<PathBuf>,
        repositories: impl Into<PathBuf>,
        sources: Arc<dyn Sources>,
    ) -> Self {
        let roots = Roots { worktrees: worktrees.into(), repositories: repositories.into() };
        Self {
            roots,
            sources,
            git: Git::new(),
            fetches: Fetches::default(),
            lenders: BTreeMap::new(),
        }
    }

    /// Uses another program than the `git` that is found on the `PATH`.
    pub fn with_program(mut self, program: impl Into<OsString>) -> Self {
        self.git.program = program.into();
        self
    }

    /// Sets a variable in the environment of every git that is started.
    pub fn with_variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.git.variables.push((name.into(), value.into()));
        self
    }

    /// A new clone of `repository` takes what `checkout` has of its remote of the name `remote`
    /// already, and only the rest from the repository's source. The source has to be reached all the
    /// same: what is there now only it knows.
    pub fn with_checkout(
        mut self,
        repository: RepoRef,
        checkout: Checkout,
        remote: impl Into<String>,
    ) -> Self {
        self.lenders.insert(repository, Lender { checkout, remote: remote.into() });
        self
    }
}

#[async_trait]
impl WorktreeProvider for GitWorktrees {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        prepare(self, spec).await
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        let (roots, issue) = (self.roots.clone(), issue.clone());
        blocking(move || inspect(&roots, &issue)).await
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let (roots, issue) = (self.roots.clone(), issue.clone());
        blocking(move || remove(&roots, &issue, unsaved)).await
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        let roots = self.roots.clone();
        blocking(move || list(&roots)).await
    }

    async fn recover(&self) -> Result<Vec<String>, WorktreeError> {
        let roots = self.roots.clone();
        blocking(move || recover(&roots)).await
    }
}
