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
use crate::examine::examine;
use crate::finding::{Finding, Mended};
use crate::git::Git;
use crate::gone::Sweeper;
use crate::inspect::inspect;
use crate::list::list;
use crate::mend::mend;
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
///   error, unless the issue's branch is here already. It is fetched from only if it has news.
/// * A worktree that was removed is gone at once, and its disk space is free when its files are
///   deleted, which nobody waits for but [`recover`](WorktreeProvider::recover).
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
    pub(crate) sweeper: Sweeper,
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
            sweeper: Sweeper::default(),
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

    /// All that is the matter with the two directories, the clones and the worktrees in them, the
    /// clones' faults before those of their worktrees. Looking changes nothing, and runs nothing.
    ///
    /// `issues` are those that somebody knows to be worked on; whatever else there are worktrees or
    /// records of is found too. Where somebody makes or removes a worktree just now,
    /// [`Fault::Busy`](crate::Fault::Busy) is all that is told of it. Faults that one cannot see past hide others, so
    /// examine again after mending. It looks at the newest commits and files only, so that it takes
    /// seconds and not minutes.
    ///
    /// ```no_run
    /// # async fn run(worktrees: kugetsu_git::GitWorktrees) -> Result<(), kugetsu_core::WorktreeError> {
    /// let issues = ["github.com/acme/widgets#42".parse().expect("a reference")];
    /// for finding in worktrees.examine(&issues).await? {
    ///     println!("{}: {} ({})", finding.fault.id(), finding.found, finding.fault.why());
    ///     if finding.is_mendable() {
    ///         // Whoever mends something of an issue holds the issue's slot.
    ///         let mended = worktrees.mend(&finding).await?;
    ///         println!("{}; saved before: {:?}", mended.done, mended.rescued);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn examine(&self, issues: &[IssueRef]) -> Result<Vec<Finding>, WorktreeError> {
        let (roots, sources, issues) = (self.roots.clone(), self.sources.clone(), issues.to_vec());
        blocking(move || examine(&roots, &*sources, &issues)).await
    }

    /// Mends what was found, so that nothing is lost. It is looked at again first: what somebody has
    /// mended meanwhile is done already.
    ///
    /// Whoever calls holds the slot of the finding's issue, so that no agent works in the worktree.
    /// No file of a worktree is ever changed or deleted. Before a record, an index or a branch is,
    /// what exists nowhere else is saved: uncommitted and untracked files, what was staged, and
    /// commits that no branch has, as a reference `refs/kugetsu/rescue/<issue>/<commit>` in the
    /// clone; and what is replaced is moved to `.<issue>.rescue/` beside the worktree, or to
    /// `.<name>.rescue/` beside the clone. A crash leaves what the next `mend` or
    /// [`prepare`](WorktreeProvider::prepare) finishes.
    ///
    /// Fails with [`WorktreeError::Unsupported`] if the finding is not
    /// [mendable](Finding::is_mendable). Only faults of clones need the remote.
    pub async fn mend(&self, finding: &Finding) -> Result<Mended, WorktreeError> {
        mend(self, finding).await
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
        let (roots, issue, sweeper) = (self.roots.clone(), issue.clone(), self.sweeper.clone());
        blocking(move || remove(&roots, &issue, unsaved, &sweeper)).await
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
