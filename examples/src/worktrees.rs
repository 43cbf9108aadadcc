//! Worktrees of one's own, with nothing but the command `git`: one bare clone a repository, one
//! worktree an issue.
//!
//! It trusts what it works on: an agent may write the clone's configuration, and a later `git` of
//! ours obeys it (hooks and file system monitors are off, filters are not). `kugetsu-git` does not.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use async_trait::async_trait;
use kugetsu::core::{
    IssueRef, RepoRef, Retry, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};

/// Worktrees and clones below one directory. Any number of processes may use it at once.
///
/// What is known of an issue's worktree stands in the clone's configuration, beside its branch:
/// `issue`, `base`, and `made` once the checkout is whole.
#[derive(Debug, Clone)]
pub struct PlainGit {
    root: PathBuf,
    sources: BTreeMap<RepoRef, String>,
}

impl PlainGit {
    /// Keeps everything below `root`, an absolute path without symbolic links.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), sources: BTreeMap::new() }
    }

    /// Clones the repository from here: any address, or path, that git knows.
    pub fn with_source(mut self, repository: RepoRef, source: impl Into<String>) -> Self {
        self.sources.insert(repository, source.into());
        self
    }

    /// Does it while nobody else is at any of these worktrees, in whatever process.
    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, WorktreeError> + Send + 'static,
    ) -> Result<T, WorktreeError> {
        let here = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let lock = || {
                fs::create_dir_all(here.root.join("worktrees"))?;
                let lock = File::create(here.root.join("lock"))?;
                lock.lock().map(|()| lock)
            };
            // The kernel lets go of it with the file, however this process ends.
            let _lock = lock().map_err(failed("lock its directory"))?;
            work(&here)
        });
        work.await.map_err(|lost| failed("work on")(lost.into()))?
    }

    fn clone_at(&self, repository: &RepoRef) -> PathBuf {
        self.root.join("repos").join(format!("{repository}.git"))
    }

    fn worktree(&self, issue: &IssueRef) -> Worktree {
        let path = self.root.join("worktrees").join(issue.stem());
        Worktree::new(issue.clone(), path, issue.branch(), self.clone_at(issue.repository()))
    }

    /// The worktree of the issue, if its branch is there and was made by us, and whether its checkout
    /// was whole.
    fn known(&self, issue: &IssueRef) -> Option<(Worktree, bool)> {
        let worktree = self.worktree(issue);
        let clone = worktree.repository.as_path();
        let branch = &worktree.branch;
        git(clone, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).ok()?;
        let owner = git(clone, &["config", &format!("branch.{branch}.issue")]).ok()?;
        let made = git(clone, &["config", &format!("branch.{branch}.made")]).is_ok();
        (owner == issue.to_string()).then_some((worktree, made))
    }

    fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let known = self.known(&spec.issue);
        let there = self.worktree(&spec.issue).path.symlink_metadata().is_ok();
        match known {
            Some((worktree, true)) if there => Ok(worktree),
            Some((worktree, was_made)) => {
                if there {
                    // Somebody died while making it, before anybody worked in it.
                    let path = worktree.path.clone();
                    fs::remove_dir_all(&path).map_err(failed("remove half a worktree"))?;
                }
                check_out(&worktree, was_made).map_err(failed("check out"))?;
                Ok(worktree.with_created(true))
            }
            None if there => {
                let path = self.worktree(&spec.issue).path;
                let why = "it is no worktree of ours; move it away".into();
                Err(WorktreeError::InTheWay { path, why })
            }
            None => {
                let worktree = self.worktree(&spec.issue);
                self.fetch(spec.issue.repository())?;
                begin(&worktree, spec)?;
                check_out(&worktree, false).map_err(failed("check out"))?;
                Ok(worktree.with_created(true))
            }
        }
    }

    /// Brings the clone up to date, and makes it if there is none.
    fn fetch(&self, repository: &RepoRef) -> Result<(), WorktreeError> {
        let no_repository =
            |why: String| WorktreeError::NoRepository { repository: repository.to_string(), why };
        let source = self.sources.get(repository);
        let source = source.ok_or_else(|| no_repository("no source was given for it".into()))?;
        let clone = self.clone_at(repository);
        let fetch = || {
            fs::create_dir_all(&clone)?;
            git(&clone, &["init", "--quiet", "--bare", "--template="])?;
            git(&clone, &["config", "remote.origin.url", source])?;
            git(&clone, &["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"])?;
            git(&clone, &["fetch", "--quiet", "--prune", "origin"])?;
            git(&clone, &["remote", "set-head", "origin", "--auto"])
        };
        fetch().map(drop).map_err(|error| no_repository(error.to_string()))
    }

    fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        match self.known(issue) {
            Some((worktree, true)) if worktree.path.exists() => {
                status(worktree).map(Some).map_err(failed("inspect a worktree"))
            }
            _ => Ok(None),
        }
    }

    fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let Some((worktree, _)) = self.known(issue) else { return Ok(()) };
        let (path, branch) = (worktree.path.clone(), worktree.branch.clone());
        let clone = worktree.repository.clone();
        let status = status(worktree).map_err(failed("inspect a worktree"))?;
        if unsaved == Unsaved::Keep && status.has_unsaved_work() {
            let WorktreeStatus { dirty, unpushed, .. } = status;
            return Err(WorktreeError::UnsavedWork { path, dirty, unpushed });
        }
        let remove = || {
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            git(&clone, &["worktree", "prune", "--expire=now"])?;
            // And with the branch what is known of it. Whoever dies before has the next one do it.
            git(&clone, &["branch", "--quiet", "-D", &branch])
        };
        remove().map(drop).map_err(failed("remove a worktree"))
    }

    fn list(&self) -> Vec<Worktree> {
        let mut found = Vec::new();
        let mut directories = vec![self.root.join("repos")];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if !path.join("HEAD").is_file() {
                    directories.push(path);
                    continue;
                }
                // It fails if there is none.
                let issues = git(&path, &["config", "--get-regexp", r"^branch\..*\.issue$"]);
                let issues = issues.unwrap_or_default();
                let issues = issues.lines().filter_map(|line| line.split_once(' '));
                let issues = issues.filter_map(|(_, issue)| issue.parse().ok());
                let known = issues.filter_map(|issue| self.known(&issue));
                found.extend(known.filter(|(w, made)| *made && w.path.exists()).map(|(w, _)| w));
            }
        }
        found.sort_by(|a, b| a.issue.cmp(&b.issue));
        found
    }
}

/// Makes the branch, and says whose it is before it is there.
fn begin(worktree: &Worktree, spec: &WorktreeSpec) -> Result<(), WorktreeError> {
    let clone = worktree.repository.as_path();
    let base = match &spec.base {
        Some(base) => base.clone(),
        None => git(clone, &["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])
            .map_err(failed("find the default branch"))?
            .replacen("origin/", "", 1),
    };
    let repository = spec.issue.repository().to_string();
    let missing = || WorktreeError::NoBaseBranch { repository, branch: base.clone() };
    let name = format!("refs/remotes/origin/{base}");
    let commit = git(clone, &["check-ref-format", &name])
        .and_then(|_| git(clone, &["rev-parse", "--verify", "--quiet", &name]));
    let commit = commit.map_err(|_| missing())?;
    let branch = &worktree.branch;
    let begun = || {
        git(clone, &["config", &format!("branch.{branch}.issue"), &spec.issue.to_string()])?;
        git(clone, &["config", &format!("branch.{branch}.base"), &base])?;
        git(clone, &["branch", "--no-track", branch, &commit])
    };
    begun().map(drop).map_err(failed("make a branch"))
}

/// Checks the branch out, and says so when that is done.
fn check_out(worktree: &Worktree, was_made: bool) -> io::Result<()> {
    let (clone, path) = (worktree.repository.as_path(), worktree.path.to_string_lossy());
    let made = format!("branch.{}.made", worktree.branch);
    if was_made {
        git(clone, &["config", "--unset", &made])?;
    }
    // Twice by force: what a dead process has left is locked.
    git(clone, &["worktree", "add", "--quiet", "-f", "-f", &path, &worktree.branch])?;
    git(clone, &["config", &made, "true"]).map(drop)
}

/// The worktree's status; without its directory, what its branch alone tells.
fn status(worktree: Worktree) -> io::Result<WorktreeStatus> {
    let (clone, branch) = (worktree.repository.clone(), worktree.branch.clone());
    let not_on = |others: &str| {
        let count = git(&clone, &["rev-list", "--count", &branch, "--not", others])?;
        count.parse().map_err(io::Error::other)
    };
    let base = git(&clone, &["config", &format!("branch.{branch}.base")])?;
    let mut status = WorktreeStatus::new(worktree);
    status.head = Some(git(&clone, &["rev-parse", &branch])?);
    status.ahead = not_on(&format!("refs/remotes/origin/{base}"))?;
    status.unpushed = not_on("--remotes")?;
    status.base = Some(base);
    if status.worktree.path.exists() {
        let arguments = ["status", "--porcelain", "--untracked-files=all", "--no-renames"];
        let files = git(&status.worktree.path, &arguments)?.lines().count();
        status.dirty = u32::try_from(files).unwrap_or(u32::MAX);
    }
    Ok(status)
}

/// Runs git in this directory, and returns what it prints. No argument is read by a shell.
fn git(directory: &Path, arguments: &[&str]) -> io::Result<String> {
    let ours =
        ["core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=0"];
    let output = Command::new("git")
        .args(ours.iter().flat_map(|setting| ["-c", setting]))
        .args(arguments)
        .current_dir(directory)
        // Inside of a hook, or of another git, these would name another repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        // It looks, and takes no lock for it; and it asks nobody.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("git {}: {}", arguments[0], said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> WorktreeError {
    move |error| WorktreeError::Backend {
        who: "git".into(),
        operation: operation.into(),
        retry: Retry::Later,
        source: error.into(),
    }
}

#[async_trait]
impl WorktreeProvider for PlainGit {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let spec = spec.clone();
        self.alone(move |git| git.prepare(&spec)).await
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        let issue = issue.clone();
        self.alone(move |git| git.inspect(&issue)).await
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let issue = issue.clone();
        self.alone(move |git| git.remove(&issue, unsaved)).await
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        self.alone(|git| Ok(git.list())).await
    }
}
