//! Taking over the work of a checkout that is somebody else's, such as one of the bash version's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use git2::{Commit, ErrorCode, Oid, Repository, RepositoryOpenFlags, Signature};
use kugetsu_core::{IssueRef, Retry, Worktree, WorktreeError, WorktreeSpec};

use crate::adopt::adopt;
use crate::blocking::blocking;
use crate::clone;
use crate::entry::{self, Link, Record};
use crate::fault::{Doing, backend};
use crate::last;
use crate::lock::Lock;
use crate::prepare::{lock, prepare, sweep, worktree};
use crate::provider::GitWorktrees;
use crate::scratch::{References, Scratch, make_directory};
use crate::site::Site;
use crate::source::Source;
use crate::standing::{Standing, in_the_way, standing};

/// What came of taking over a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TakenOver {
    /// The issue's worktree.
    pub worktree: Worktree,
    /// The reference in the clone that keeps what was not committed, if there was something.
    pub uncommitted: Option<String>,
    /// The reference that keeps the checkout's commits, if the issue's own branch goes elsewhere.
    pub kept: Option<String>,
    /// Whether what was not committed lies in the worktree as it lay in the checkout.
    pub is_laid_out: bool,
}

/// What a checkout holds.
struct Found {
    head: Oid,
    /// The branch that it is on, by its short name.
    branch: Option<String>,
}

impl GitWorktrees {
    /// Makes the issue's worktree from the checkout at `from`: its commits, and what is not committed
    /// in it, as uncommitted work. Files that the repository ignores are not brought over.
    ///
    /// The checkout and its repository are not changed, and nothing that is configured in them runs.
    /// Where the checkout lies at the very place of the issue's worktree it becomes that worktree:
    /// then only its `.git` leads to our clone. A link that it was is kept beside, with the
    /// repository that it was, if that is nobody else's.
    ///
    /// A worktree of the issue that is there already stays as it is, and the work of the checkout is
    /// kept under a reference. Taking over twice is taking over once; so it is after a crash, but
    /// that uncommitted work may then be under its reference only.
    pub async fn take_over(
        &self,
        issue: &IssueRef,
        from: &Path,
    ) -> Result<TakenOver, WorktreeError> {
        let (site, locked, from) = {
            let (roots, issue, from) = (self.roots.clone(), issue.clone(), from.to_owned());
            blocking(move || {
                let site = Site::new(&roots.make()?, &issue);
                let from = plain_directory(&from)?;
                let locked = lock(&site)?;
                sweep(&site)?;
                Ok((Arc::new(site), Arc::new(locked), from))
            })
            .await?
        };
        let in_place = from == site.tree;
        let there = {
            let site = site.clone();
            blocking(move || standing(&site)).await?
        };
        if in_place && there == Standing::Worktree {
            let worktree = blocking(move || Ok(worktree(&site))).await?;
            return Ok(TakenOver { worktree, uncommitted: None, kept: None, is_laid_out: true });
        }
        let found = {
            let from = from.clone();
            blocking(move || found(&from)).await?
        };
        self.have_clone(&site).await?;
        {
            let (site, from, head) = (site.clone(), from.clone(), found.head);
            blocking(move || copy_objects(&from, &site.clone, head)).await?;
        }
        let work = self.uncommitted(&site, &from, found.head, &locked).await?;
        let uncommitted = {
            let (site, head) = (site.clone(), found.head);
            blocking(move || keep_uncommitted(&site, head, work)).await?
        };
        let kept = {
            let (site, head) = (site.clone(), found.head);
            let may_move = in_place || matches!(there, Standing::Nothing);
            blocking(move || point_branch(&site, head, may_move)).await?
        };
        if in_place {
            let (site, head, branch) = (site.clone(), found.head, found.branch);
            let worktree = blocking(move || {
                settle_in_place(&site, head, branch.as_deref())?;
                last::note(&locked, &site)?;
                Ok(worktree(&site))
            })
            .await?;
            let is_laid_out = uncommitted.is_some();
            let uncommitted = uncommitted.map(|(name, _)| name);
            return Ok(TakenOver { worktree, uncommitted, kept, is_laid_out });
        }
        drop(locked);
        let made = prepare(self, &WorktreeSpec::new(issue.clone())).await?;
        let mut is_laid_out = false;
        if made.created && kept.is_none() {
            let locked = {
                let site = site.clone();
                blocking(move || Ok(Arc::new(lock(&site)?))).await?
            };
            if let Some((_, commit)) = &uncommitted {
                self.lay_out(&site, found.head, *commit, &locked).await?;
                is_laid_out = true;
            }
            let (site, branch, head) = (site.clone(), found.branch, found.head);
            blocking(move || {
                stay_on(&site, branch.as_deref(), head)?;
                last::note(&locked, &site)
            })
            .await?;
        }
        let made_of = made.created;
        let site_of = site.clone();
        let worktree = blocking(move || Ok(worktree(&site_of))).await?.with_created(made_of);
        let uncommitted = uncommitted.map(|(name, _)| name);
        Ok(TakenOver { worktree, uncommitted, kept, is_laid_out })
    }

    /// Makes the clone if it is not there: from its source or, if that cannot be had, empty.
    async fn have_clone(&self, site: &Site) -> Result<(), WorktreeError> {
        if fs::symlink_metadata(&site.clone).is_ok() {
            return Ok(());
        }
        let repository = site.issue.repository();
        if let Ok(source) = self.sources.source(repository) {
            let clone = site.clone.clone();
            let (git, fetches) = (&self.git, &self.fetches);
            if clone::refresh(git, fetches, repository, clone, (source, None)).await.is_ok() {
                return Ok(());
            }
        }
        clone::make_empty(site.clone.clone()).await
    }

    /// The tree of the checkout's files as they lie there, if it is not that of its commit.
    async fn uncommitted(
        &self,
        site: &Arc<Site>,
        from: &Path,
        head: Oid,
        locked: &Lock,
    ) -> Result<Option<Oid>, WorktreeError> {
        let scratch = Scratch::make(site.scratch(), &site.clone, &References::new(), None)?;
        let index = scratch.path.join("index");
        let places = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", from)];
        let commit = head.to_string();
        let mut said = String::new();
        for arguments in [
            &["read-tree", commit.as_str()][..],
            &["-c", "advice.addEmbeddedRepo=false", "add", "--all", "--", ":/"],
            &["write-tree"],
        ] {
            let ran = self.git.run(&scratch, from, &places, arguments, locked).await?;
            if !ran.success {
                let operation = format!("read what is not committed in {}", from.display());
                return Err(backend(operation, Retry::Later, ran.fault));
            }
            said = ran.out;
        }
        let doing = || format!("read the files of {}", from.display());
        let tree = Oid::from_str(said.trim()).doing(doing)?;
        let repository = clone::open(&site.clone)?;
        let committed = repository.find_commit(head).doing(doing)?.tree_id();
        Ok((tree != committed).then_some(tree))
    }

    /// Brings the new worktree from `head` to the files of `commit`.
    async fn lay_out(
        &self,
        site: &Site,
        head: Oid,
        commit: Oid,
        locked: &Lock,
    ) -> Result<(), WorktreeError> {
        let scratch = Scratch::make(site.scratch(), &site.clone, &References::new(), None)?;
        let index = site.entry().join("index");
        let places = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", site.tree.as_path())];
        let (head, commit) = (head.to_string(), commit.to_string());
        let arguments = ["read-tree", "-m", "-u", &head, &commit];
        let ran = self.git.run(&scratch, &site.tree, &places, &arguments, locked).await?;
        if ran.success {
            return Ok(());
        }
        let operation = format!("bring the uncommitted work of {} over", site.issue);
        Err(backend(operation, Retry::Later, ran.fault))
    }
}

/// The directory by its real name; a link to one is not followed.
fn plain_directory(path: &Path) -> Result<PathBuf, WorktreeError> {
    let doing = || format!("read {}", path.display());
    if !fs::symlink_metadata(path).doing(doing)?.is_dir() {
        return Err(in_the_way(path, "it is no directory"));
    }
    path.canonicalize().doing(doing)
}

fn open(from: &Path) -> Result<Repository, WorktreeError> {
    // The tree's own repository, and not one that it happens to lie in.
    Repository::open_ext(from, RepositoryOpenFlags::NO_SEARCH, &[] as &[&Path])
        .doing(|| format!("open the checkout {}", from.display()))
}

/// The address that the checkout's own `origin` says, if it is one that we would clone from and has
/// no secret in it. Nothing is run and nothing is changed.
pub fn remote_of(checkout: &Path) -> Option<Source> {
    let repository = open(&plain_directory(checkout).ok()?).ok()?;
    let remote = repository.find_remote("origin").ok()?;
    Source::parse(remote.url().ok()?).ok()
}

fn found(from: &Path) -> Result<Found, WorktreeError> {
    let repository = open(from)?;
    let doing = || format!("read where {} is", from.display());
    let head = repository.head().map_err(|error| match error.code() {
        ErrorCode::UnbornBranch => git2::Error::from_str("it has no commits"),
        _ => error,
    });
    let head = head.doing(doing)?;
    let branch = head.is_branch().then(|| head.shorthand().ok().map(str::to_owned)).flatten();
    Ok(Found { head: head.peel_to_commit().doing(doing)?.id(), branch })
}

/// Writes every object that `head` needs, and that the clone does not have, into the clone.
fn copy_objects(from: &Path, clone: &Path, head: Oid) -> Result<(), WorktreeError> {
    let doing = || format!("read the commits of {}", from.display());
    let (theirs, ours) = (open(from)?, clone::open(clone)?);
    if ours.find_commit(head).is_ok() && is_reachable(&ours, head).doing(doing)? {
        return Ok(());
    }
    let mut walk = theirs.revwalk().doing(doing)?;
    walk.push(head).doing(doing)?;
    for known in tips(&ours).doing(doing)? {
        if theirs.find_commit(known).is_ok() {
            walk.hide(known).doing(doing)?;
        }
    }
    let mut pack = theirs.packbuilder().doing(doing)?;
    pack.insert_walk(&mut walk).doing(doing)?;
    let odb = ours.odb().doing(doing)?;
    let mut writer = odb.packwriter().doing(doing)?;
    let mut written = Ok(());
    pack.foreach(|bytes| {
        written = std::io::Write::write_all(&mut writer, bytes);
        written.is_ok()
    })
    .doing(doing)?;
    written.doing(doing)?;
    writer.commit().doing(doing)?;
    Ok(())
}

fn tips(repository: &Repository) -> Result<Vec<Oid>, git2::Error> {
    let mut tips = Vec::new();
    for reference in repository.references()? {
        if let Ok(commit) = reference?.peel_to_commit() {
            tips.push(commit.id());
        }
    }
    Ok(tips)
}

fn is_reachable(repository: &Repository, commit: Oid) -> Result<bool, git2::Error> {
    for tip in tips(repository)? {
        if tip == commit || repository.graph_descendant_of(tip, commit)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps what was not committed as a commit on top of `head`.
fn keep_uncommitted(
    site: &Site,
    head: Oid,
    tree: Option<Oid>,
) -> Result<Option<(String, Oid)>, WorktreeError> {
    let Some(tree) = tree else { return Ok(None) };
    let doing = || format!("keep the uncommitted work of {}", site.issue);
    let repository = clone::open(&site.clone)?;
    let keep = || {
        let parent: Commit<'_> = repository.find_commit(head)?;
        let tree = repository.find_tree(tree)?;
        // The time of the commit below, so that the same work is the same commit.
        let author = Signature::new("kugetsu", "kugetsu@localhost", &parent.time())?;
        let message = "kugetsu: what was not committed when it was taken over\n";
        let commit = repository.commit(None, &author, &author, message, &tree, &[&parent])?;
        let name = format!("refs/kugetsu/imported/{}/{commit}", site.stem);
        repository.reference(&name, commit, true, "kugetsu: taken over")?;
        Ok::<_, git2::Error>((name, commit))
    };
    keep().map(Some).doing(doing)
}

/// Has the issue's branch at `head`, if it is not elsewhere for a reason; else keeps `head` under a
/// reference and names it.
fn point_branch(site: &Site, head: Oid, may_move: bool) -> Result<Option<String>, WorktreeError> {
    let doing = || format!("make the branch {}", site.issue.branch());
    let repository = clone::open(&site.clone)?;
    let at = clone::commit_at(&repository, &site.branch())?;
    let has = |commit: Oid| {
        Ok::<_, git2::Error>(commit == head || repository.graph_descendant_of(commit, head)?)
    };
    match at {
        None => {
            repository
                .reference(&site.branch(), head, false, "kugetsu: taken over")
                .doing(doing)?;
            Ok(None)
        }
        Some(at) if at == head => Ok(None),
        Some(at) if may_move && repository.graph_descendant_of(head, at).doing(doing)? => {
            repository.reference(&site.branch(), head, true, "kugetsu: taken over").doing(doing)?;
            Ok(None)
        }
        Some(at) => {
            if has(at).doing(doing)? && !may_move {
                return Ok(None);
            }
            let name = format!("refs/kugetsu/imported/{}/{head}", site.stem);
            repository.reference(&name, head, true, "kugetsu: taken over").doing(doing)?;
            Ok(Some(name))
        }
    }
}

/// Has the new worktree on the branch that the checkout was on, which a pull request may be of.
fn stay_on(site: &Site, branch: Option<&str>, head: Oid) -> Result<(), WorktreeError> {
    let Some(branch) = branch.filter(|name| *name != site.issue.branch()) else { return Ok(()) };
    let repository = clone::open(&site.clone)?;
    if clone::default_branch(&repository).as_deref() == Some(branch) {
        return Ok(());
    }
    let name = format!("refs/heads/{branch}");
    let doing = || format!("make the branch {branch}");
    match clone::commit_at(&repository, &name)? {
        None => drop(repository.reference(&name, head, false, "kugetsu: taken over").doing(doing)?),
        // Another issue's, or it went on: the work stays on the issue's own branch.
        Some(_) => return Ok(()),
    }
    entry::put(&site.entry().join("HEAD"), format!("ref: {name}\n").as_bytes()).doing(doing)
}

/// Has the checkout that lies where the issue's worktree belongs be that worktree.
fn settle_in_place(site: &Site, head: Oid, branch: Option<&str>) -> Result<(), WorktreeError> {
    let doing = || format!("take {} over", site.tree.display());
    let link = entry::read_link(&site.tree).doing(doing)?;
    let git = site.tree.join(".git");
    let aside = site.tree.with_file_name(format!(".{}.before", site.stem));
    if fs::symlink_metadata(&aside).is_ok() && link != Link::Missing {
        return Err(in_the_way(&aside, "something was put aside there already"));
    }
    if link == Link::Other {
        let others = fs::read_dir(git.join("worktrees")).is_ok_and(|mut all| all.next().is_some());
        if others || !fs::symlink_metadata(&git).doing(doing)?.is_dir() {
            let why = "other worktrees hang off the repository in it, so it cannot be put aside";
            return Err(in_the_way(&site.tree, why));
        }
    }
    let repository = clone::open(&site.clone)?;
    let default = clone::default_branch(&repository);
    let record = Record::new(site.issue.clone(), default, None);
    let new_entry = site.new_entry();
    make_directory(&new_entry).doing(doing)?;
    entry::write(site, &new_entry, &record).doing(doing)?;
    adopt(site, head)?;
    stay_on(site, branch, head)?;
    // The old link, or the whole repository, lies beside the worktree under another name.
    if link != Link::Missing {
        fs::rename(&git, &aside).doing(doing)?;
    }
    entry::write_link(site, &site.tree).doing(doing)
}
