//! Removing a worktree without losing work.

use std::fs;
use std::path::Path;

use git2::Repository;
use kugetsu_core::{IssueRef, Unsaved, WorktreeError};

use crate::adopt::adopt;
use crate::clone;
use crate::delete::delete;
use crate::entry::{self, Record};
use crate::fault::Doing;
use crate::gone::{self, Sweeper};
use crate::inspect::{status, unpushed};
use crate::last;
use crate::prepare::{lock, sweep};
use crate::scratch::make_directory;
use crate::site::{Roots, Site};
use crate::stale;
use crate::standing::{Standing, in_the_way, standing};

pub(crate) fn remove(
    roots: &Roots,
    issue: &IssueRef,
    unsaved: Unsaved,
    sweeper: &Sweeper,
) -> Result<(), WorktreeError> {
    if fs::symlink_metadata(&roots.worktrees).is_err() {
        return Ok(());
    }
    let roots = roots.make()?;
    let site = Site::new(&roots, issue);
    let lock = lock(&site)?;
    sweep(&site)?;
    stale::sweep(&site);
    touch(&site.lock()).doing(|| format!("write {}", site.lock().display()))?;
    stale::sweep_shared(&site.clone, &site.lock());
    let repository = match fs::symlink_metadata(&site.clone) {
        Ok(_) => Some(clone::open(&site.clone)?),
        Err(_) => None,
    };
    let work = may_go(&site, repository.as_ref(), unsaved)?;
    let doing = || format!("remove {}", site.tree.display());
    if work.tree {
        // From here on it is not there; what is left is swept by the next prepare or remove.
        fs::rename(&site.tree, site.old_tree()).doing(doing)?;
    }
    // Before the branch: a crash in between must not have the next prepare make it again.
    last::forget(&site).doing(doing)?;
    delete(&site.entry()).doing(doing)?;
    if let Some(repository) = &repository
        && (work.saved || unsaved == Unsaved::Discard)
    {
        delete_branch(repository, &site)?;
    }
    gone::put_away(&site, &site.old_tree()).doing(doing)?;
    sweeper.start(site.root());
    lock.retire().doing(doing)
}

/// Gives our own lock file the file system's time.
pub(crate) fn touch(lock: &Path) -> std::io::Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, lock, &times, rustix::fs::AtFlags::empty())?)
}

/// What may be removed.
struct Work {
    /// Whether the worktree's directory is there.
    tree: bool,
    /// Whether every commit is somewhere else too.
    saved: bool,
}

fn may_go(
    site: &Site,
    repository: Option<&Repository>,
    unsaved: Unsaved,
) -> Result<Work, WorktreeError> {
    let doing = || format!("inspect {}", site.tree.display());
    let commits = |repository: &Repository| unpushed(repository, site).doing(doing);
    let standing = standing(site)?;
    let ours = matches!(standing, Standing::Worktree | Standing::Tree | Standing::Entry);
    if let Some(repository) = repository.filter(|_| ours && unsaved == Unsaved::Keep) {
        last::restore(repository, site)?;
    }
    match (standing, unsaved) {
        (Standing::Foreign(path, _), _)
            if path == site.tree && fs::symlink_metadata(site.entry()).is_err() =>
        {
            // What stands there is not ours, so the worktree is not there.
            Ok(Work { tree: false, saved: false })
        }
        (Standing::Foreign(path, why), _) => Err(in_the_way(&path, &why)),
        (Standing::Nothing | Standing::Entry, _) => {
            let unpushed = repository.map_or(Ok(0), commits)?;
            let lost = fs::symlink_metadata(site.entry()).is_ok();
            if lost && unpushed > 0 && unsaved == Unsaved::Keep {
                return Err(WorktreeError::UnsavedWork {
                    path: site.tree.clone(),
                    dirty: 0,
                    unpushed,
                });
            }
            Ok(Work { tree: false, saved: unpushed == 0 })
        }
        (Standing::Replaced(why), Unsaved::Keep) => Err(in_the_way(&site.tree, &why)),
        (Standing::Worktree | Standing::Tree | Standing::Replaced(_), Unsaved::Discard) => {
            Ok(Work { tree: true, saved: false })
        }
        (Standing::Tree, Unsaved::Keep) => {
            take_up(site, repository)?;
            keep(site)
        }
        (Standing::Worktree, Unsaved::Keep) => {
            entry::mend(site)?;
            entry::write_link(site, &site.tree).doing(doing)?;
            keep(site)
        }
    }
}

fn keep(site: &Site) -> Result<Work, WorktreeError> {
    let status = status(site)?;
    if status.has_unsaved_work() {
        return Err(WorktreeError::UnsavedWork {
            path: site.tree.clone(),
            dirty: status.dirty,
            unpushed: status.unpushed,
        });
    }
    Ok(Work { tree: true, saved: true })
}

/// Gives a worktree without administration a new one, to see what is in it.
fn take_up(site: &Site, repository: Option<&Repository>) -> Result<(), WorktreeError> {
    let branch = repository.map(|repository| clone::commit_at(repository, &site.branch()));
    let Some(commit) = branch.transpose()?.flatten() else {
        return Err(in_the_way(&site.tree, "its branch is gone, so what it holds cannot be told"));
    };
    let doing = || format!("take {} up again", site.tree.display());
    let new_entry = site.new_entry();
    make_directory(&new_entry).doing(doing)?;
    let record = Record::new(site.issue.clone(), None, None);
    entry::write(site, &new_entry, &record).doing(doing)?;
    adopt(site, commit)
}

/// Deletes the issue's branch, unless another worktree is on it.
fn delete_branch(repository: &Repository, site: &Site) -> Result<(), WorktreeError> {
    let doing = || format!("delete the branch {}", site.issue.branch());
    if let Ok(entries) = fs::read_dir(site.clone.join("worktrees")) {
        let on_it = |path: &Path| entry::branch(path) == Some(site.issue.branch());
        if entries.flatten().any(|entry| on_it(&entry.path())) {
            return Ok(());
        }
    }
    match repository.find_branch(&site.issue.branch(), git2::BranchType::Local) {
        Ok(mut branch) => branch.delete().doing(doing),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
        Err(error) => Err(error).doing(doing),
    }
}
