//! Where a worktree was last seen, so that its commits outlive its branch and even its clone.
//!
//! All worktrees of a clone share its branches: any agent can delete another's.

use std::fs;
use std::io;

use git2::{Oid, Repository};
use kugetsu_core::WorktreeError;

use crate::clone;
use crate::delete::delete;
use crate::entry;
use crate::fault::Doing;
use crate::lock::Lock;
use crate::site::Site;

/// The commit that a worktree was last seen at. It is kept beside the worktree, which survives the
/// clone; agents can write it, so it is a hint and no more.
#[derive(Debug, PartialEq, Eq)]
struct Last {
    commit: Oid,
    /// The full name of the branch, or `HEAD`.
    on: String,
}

impl Last {
    fn read(site: &Site) -> Option<Self> {
        let text = String::from_utf8(entry::read_file(&site.last()).ok()??).ok()?;
        let (commit, on) = text.trim().split_once(' ')?;
        Some(Self { commit: Oid::from_str(commit).ok()?, on: on.to_owned() })
    }
}

/// Notes where a new worktree is. The record that was just written says the same, so the disk may
/// take its time.
pub(crate) fn note_first(_held: &Lock, site: &Site, commit: Oid) -> Result<(), WorktreeError> {
    let text = format!("{commit} {}\n", site.branch());
    entry::put_soon(&site.last(), text.as_bytes())
        .doing(|| format!("write {}", site.last().display()))
}

/// Notes where the worktree is. A worktree that is at no commit leaves the note as it was.
pub(crate) fn note(_held: &Lock, site: &Site) -> Result<(), WorktreeError> {
    let doing = || format!("write {}", site.last().display());
    let repository = clone::open(&site.clone)?;
    let entry = site.entry();
    let (Some(commit), Some(on)) = (entry::head(&repository, &entry), entry::on(&entry)) else {
        return Ok(());
    };
    let now = Last { commit, on };
    if Last::read(site).as_ref() == Some(&now) {
        return Ok(());
    }
    entry::put(&site.last(), format!("{} {}\n", now.commit, now.on).as_bytes()).doing(doing)
}

/// Forgets where the worktree was: its work is saved, or given up.
pub(crate) fn forget(site: &Site) -> io::Result<()> {
    delete(&site.last())
}

/// Makes the branch that the worktree is on again if it was deleted, and keeps the commit that was
/// noted if no reference leads to it any more.
///
/// Fails if the branch is gone and the commit that it was at cannot be had.
pub(crate) fn restore(repository: &Repository, site: &Site) -> Result<(), WorktreeError> {
    let last = Last::read(site);
    let there = last.as_ref().is_some_and(|last| repository.find_commit(last.commit).is_ok());
    let gone = gone(repository, site)?;
    if let Some(gone) = &gone {
        match gone.commit {
            Some(commit) => {
                repository
                    .reference(&gone.branch, commit, false, "kugetsu: the branch was deleted")
                    .doing(|| format!("make the branch {} again", gone.branch))?;
            }
            None => gone.tell(site, last.as_ref().filter(|_| !there))?,
        }
    }
    if let Some(last) = last.filter(|_| there) {
        keep(repository, site, last.commit).doing(|| format!("keep the commit {}", last.commit))?;
    }
    Ok(())
}

/// Fails if the branch that the worktree is on is gone. Changes nothing.
pub(crate) fn check(repository: &Repository, site: &Site) -> Result<(), WorktreeError> {
    match gone(repository, site)? {
        Some(gone) if gone.commit.is_some() => Err(WorktreeError::InTheWay {
            path: site.tree.clone(),
            why: format!("its branch {} was deleted; preparing it makes it again", gone.branch),
        }),
        Some(gone) => gone.tell(site, None),
        None => Ok(()),
    }
}

/// A branch that a worktree is on and that does not exist.
pub(crate) struct Gone {
    pub(crate) branch: String,
    /// Where it was, if the clone has that commit.
    pub(crate) commit: Option<Oid>,
    /// Whether it may be a branch that never had a commit.
    pub(crate) unborn: bool,
}

/// Where the branch was last seen, newest first: the commits of it that the clone still has.
pub(crate) fn seen(repository: &Repository, site: &Site, branch: &str) -> Option<Oid> {
    let seen = logged(site).into_iter().chain(Last::read(site));
    let mut on_it = seen.filter(|last| last.on == branch).map(|last| last.commit);
    on_it.find(|id| repository.find_commit(*id).is_ok())
}

/// Where the worktree was noted to be; the commit may be gone.
pub(crate) fn noted(site: &Site) -> Option<Oid> {
    Last::read(site).map(|last| last.commit)
}

/// The branch that the worktree is on, if it does not exist.
pub(crate) fn gone(repository: &Repository, site: &Site) -> Result<Option<Gone>, WorktreeError> {
    let entry = site.entry();
    let branch = entry::on(&entry).unwrap_or_else(|| site.branch());
    if !branch.starts_with("refs/heads/") || clone::commit_at(repository, &branch)?.is_some() {
        return Ok(None);
    }
    // git's own log of the worktree is never older than our note.
    let seen: Vec<Last> = logged(site).into_iter().chain(Last::read(site)).collect();
    let mut on_it = seen.iter().filter(|last| last.on == branch).peekable();
    let unborn = branch != site.branch() && !seen.is_empty() && on_it.peek().is_none();
    let commit = on_it.map(|last| last.commit).find(|id| repository.find_commit(*id).is_ok());
    Ok(Some(Gone { branch, commit, unborn }))
}

impl Gone {
    fn tell(&self, site: &Site, lost: Option<&Last>) -> Result<(), WorktreeError> {
        let name = self.branch.strip_prefix("refs/heads/").unwrap_or(&self.branch);
        let give_up = "or give its work up with `kugetsu destroy --force` and start again";
        let why = if let Some(lost) = lost {
            format!(
                "the worktree was at commit {}, which the clone {} no longer has; \
                 fetch that commit into the clone from wherever else it is, {give_up}",
                lost.commit,
                site.clone.display()
            )
        } else if !self.unborn && is_there(site) {
            format!(
                "its branch {name} was deleted and where it was is not known; find the commit with \
                 `git fsck --lost-found` and make the branch with `git update-ref {} <commit>`, \
                 {give_up}",
                self.branch
            )
        } else {
            return Ok(());
        };
        Err(WorktreeError::InTheWay { path: site.tree.clone(), why })
    }
}

/// Whether there is a worktree with an administration, and not only a branch to be made.
fn is_there(site: &Site) -> bool {
    [site.tree.clone(), site.entry()].iter().all(|path| fs::symlink_metadata(path).is_ok())
}

/// Where git's log says that the worktree was last.
fn logged(site: &Site) -> Option<Last> {
    let text = entry::read_end(&site.entry().join("logs/HEAD")).ok()??;
    let text = String::from_utf8_lossy(&text);
    let mut ids = text.lines().next_back()?.split(' ');
    let mut next = || ids.next().and_then(|id| Oid::from_str(id).ok());
    let (before, after) = (next()?, next()?);
    let commit = [after, before].into_iter().find(|id| !id.is_zero())?;
    let moved = text.lines().rev().find_map(|line| {
        let (_, message) = line.split_once('\t')?;
        let to = message
            .strip_prefix("checkout: moving from ")
            .or_else(|| message.strip_prefix("Branch: renamed "))?;
        let (_, to) = to.split_once(" to ")?;
        Some(format!("refs/heads/{}", to.strip_prefix("refs/heads/").unwrap_or(to)))
    });
    Some(Last { commit, on: moved.unwrap_or_else(|| site.branch()) })
}

/// Gives the commit a reference of its own unless another leads to it.
pub(crate) fn keep(repository: &Repository, site: &Site, commit: Oid) -> Result<(), git2::Error> {
    if let Some(head) = entry::head(repository, &site.entry())
        && (head == commit || repository.graph_descendant_of(head, commit).unwrap_or(false))
        && entry::branch(&site.entry()).as_deref() != Some("HEAD")
    {
        return Ok(());
    }
    if !is_kept(repository, commit)? {
        let name = format!("refs/kugetsu/rescue/{}/{commit}", site.stem);
        repository.reference(&name, commit, true, "kugetsu: no branch leads to it any more")?;
    }
    Ok(())
}

/// Whether a reference leads to the commit.
pub(crate) fn is_kept(repository: &Repository, commit: Oid) -> Result<bool, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit)?;
    for reference in repository.references()? {
        if let Ok(tip) = reference?.peel_to_commit() {
            walk.hide(tip.id())?;
        }
    }
    Ok(walk.next().transpose()?.is_none())
}
