use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    IssueRef, RepoRef, Retry, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};
use tokio::sync::Mutex;

use crate::sandbox::SampleRepository;

/// Worktrees made with plain `git` commands, one at a time, in one directory. Clones share them.
///
/// For tests of what stands on worktrees: it is short rather than careful about what an agent may
/// leave behind.
#[derive(Debug, Clone)]
pub struct FakeWorktrees {
    root: PathBuf,
    sources: BTreeMap<RepoRef, PathBuf>,
    samples: bool,
    /// Who has it works alone, and knows the worktrees that there are.
    known: Arc<Mutex<BTreeMap<IssueRef, Worktree>>>,
}

impl FakeWorktrees {
    /// Worktrees and clones below `root`, an absolute path without symbolic links.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), sources: BTreeMap::new(), samples: false, known: Arc::default() }
    }

    /// Gets the repository from the one in this directory.
    pub fn with_source(mut self, repository: RepoRef, directory: impl Into<PathBuf>) -> Self {
        self.sources.insert(repository, directory.into());
        self
    }

    /// Makes a sample repository, with a few commits, for whichever no source was given.
    pub fn with_samples(mut self) -> Self {
        self.samples = true;
        self
    }

    /// Where the repository comes from, if that is known.
    fn source(&self, repository: &RepoRef) -> io::Result<Option<PathBuf>> {
        if let Some(source) = self.sources.get(repository) {
            return Ok(Some(source.clone()));
        }
        if !self.samples {
            return Ok(None);
        }
        let path = self.root.join("samples").join(repository.to_string());
        if !path.exists() {
            SampleRepository::with_commits(&path, 2)?;
        }
        Ok(Some(path))
    }

    /// The clone of the repository, with what its source has now.
    fn clone_of(&self, repository: &RepoRef) -> Result<SampleRepository, WorktreeError> {
        let no_repository =
            |why: String| WorktreeError::NoRepository { repository: repository.to_string(), why };
        let source = self.source(repository).map_err(|error| no_repository(error.to_string()))?;
        let source = source.ok_or_else(|| no_repository("no source was given".into()))?;
        let path = self.root.join("repos").join(format!("{repository}.git"));
        let fetched = || {
            let exists = path.exists();
            fs::create_dir_all(&path)?;
            let clone = SampleRepository::at(&path)?;
            if !exists {
                clone.git(&["init", "--quiet", "--bare", "--template="])?;
                clone.git(&["remote", "add", "origin", &source.to_string_lossy()])?;
            }
            clone.git(&["fetch", "--quiet", "--prune", "origin"])?;
            clone.git(&["remote", "set-head", "origin", "--auto"])?;
            Ok(clone)
        };
        fetched().map_err(|error: io::Error| no_repository(error.to_string()))
    }

    /// The branch to start from, and the commit that it is at.
    fn base(
        clone: &SampleRepository,
        spec: &WorktreeSpec,
    ) -> Result<(String, String), WorktreeError> {
        let default = || clone.git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"]);
        let base = match &spec.base {
            Some(base) => base.clone(),
            None => default().map_err(failed("find the default branch"))?.replace("origin/", ""),
        };
        let missing = || WorktreeError::NoBaseBranch {
            repository: spec.issue.repository().to_string(),
            branch: base.clone(),
        };
        let name = format!("refs/remotes/origin/{base}");
        clone.git(&["check-ref-format", &name]).map_err(|_| missing())?;
        let commit = clone.git(&["rev-parse", "--verify", &name]).map_err(|_| missing())?;
        Ok((base, commit))
    }

    fn make(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let issue = &spec.issue;
        let path = self.root.join("worktrees").join(issue.stem());
        let clone = self.clone_of(issue.repository())?;
        let branch = issue.branch();
        let is_there = clone.git(&["rev-parse", "--verify", &format!("refs/heads/{branch}")]);
        if path.exists() {
            let why = "it is no worktree of ours; move it away".into();
            return Err(WorktreeError::InTheWay { path, why });
        }
        let (base, commit) = match is_there {
            Ok(commit) => (None, commit),
            Err(_) => Self::base(&clone, spec).map(|(base, commit)| (Some(base), commit))?,
        };
        let made = || {
            clone.git(&["worktree", "prune"])?;
            if let Some(base) = base {
                clone.git(&["branch", "--no-track", &branch, &commit])?;
                clone.git(&["config", &format!("branch.{branch}.base"), &base])?;
            }
            clone.git(&["worktree", "add", "--quiet", &path.to_string_lossy(), &branch])
        };
        made().map_err(failed("make a worktree"))?;
        Ok(Worktree::new(issue.clone(), path, branch, clone.path()).with_created(true))
    }
}

#[async_trait]
impl WorktreeProvider for FakeWorktrees {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let mut known = self.known.lock().await;
        if let Some(worktree) = known.get(&spec.issue).filter(|worktree| worktree.path.exists()) {
            return Ok(worktree.clone().with_created(false));
        }
        let worktree = self.make(spec)?;
        known.insert(spec.issue.clone(), worktree.clone());
        Ok(worktree)
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        let known = self.known.lock().await;
        let worktree = known.get(issue).filter(|worktree| worktree.path.exists());
        let status =
            worktree.map(|worktree| status_of(worktree).map_err(failed("inspect a worktree")));
        status.transpose()
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let mut known = self.known.lock().await;
        let Some(worktree) = known.get(issue) else { return Ok(()) };
        let removed = || {
            let clone = SampleRepository::at(&worktree.repository)?;
            let status = status_of(worktree)?;
            if unsaved == Unsaved::Keep && status.has_unsaved_work() {
                return Ok(Some(status));
            }
            if worktree.path.exists() {
                let path = worktree.path.to_string_lossy();
                clone.git(&["worktree", "remove", "--force", &path])?;
            }
            clone.git(&["worktree", "prune"])?;
            clone.git(&["branch", "--quiet", "-D", &worktree.branch])?;
            Ok(None)
        };
        let kept = removed().map_err(failed("remove a worktree"))?;
        if let Some(WorktreeStatus { worktree, dirty, unpushed, .. }) = kept {
            return Err(WorktreeError::UnsavedWork { path: worktree.path, dirty, unpushed });
        }
        known.remove(issue);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        let known = self.known.lock().await;
        Ok(known.values().map(|worktree| worktree.clone().with_created(false)).collect())
    }
}

/// The worktree's status; without its directory, what its branch alone tells.
fn status_of(worktree: &Worktree) -> io::Result<WorktreeStatus> {
    let clone = SampleRepository::at(&worktree.repository)?;
    let branch = &worktree.branch;
    let count = |base: &str| {
        let commits = clone.git(&["rev-list", "--count", branch, "--not", base])?;
        commits.parse().map_err(io::Error::other)
    };
    let mut status = WorktreeStatus::new(worktree.clone().with_created(false));
    let base = clone.git(&["config", &format!("branch.{branch}.base")])?;
    status.head = Some(clone.git(&["rev-parse", branch])?);
    status.ahead = count(&format!("refs/remotes/origin/{base}"))?;
    status.unpushed = count("--remotes")?;
    status.base = Some(base);
    status.dirty = dirty(&worktree.path)?;
    Ok(status)
}

fn dirty(path: &Path) -> io::Result<u32> {
    if !path.exists() {
        return Ok(0);
    }
    let worktree = SampleRepository::at(path)?;
    let files =
        worktree.git(&["status", "--porcelain", "--untracked-files=all", "--no-renames"])?;
    u32::try_from(files.lines().count()).map_err(io::Error::other)
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> WorktreeError {
    move |error| WorktreeError::Backend {
        who: "the fake worktrees".into(),
        operation: operation.into(),
        retry: Retry::Never,
        source: error.into(),
    }
}
