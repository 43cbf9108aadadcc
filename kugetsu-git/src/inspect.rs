//! What state a worktree is in. Nothing of it is changed, and nothing configured is run.

use std::path::Path;

use git2::{Oid, Repository, RepositoryOpenFlags, StatusOptions};
use kugetsu_core::{IssueRef, WorktreeError, WorktreeStatus};

use crate::clone::{self, REMOTE};
use crate::entry::{self, Record};
use crate::fault::Doing;
use crate::files;
use crate::last;
use crate::lock::Lock;
use crate::prepare::worktree;
use crate::site::{Roots, Site};
use crate::standing::{Standing, in_the_way, standing};

pub(crate) fn inspect(
    roots: &Roots,
    issue: &IssueRef,
) -> Result<Option<WorktreeStatus>, WorktreeError> {
    let Some(roots) = roots.there()? else { return Ok(None) };
    let site = Site::new(&roots, issue);
    match standing(&site)? {
        Standing::Nothing | Standing::Entry => Ok(None),
        Standing::Foreign(path, _) if path == site.tree => Ok(None),
        Standing::Foreign(path, why) => Err(in_the_way(&path, &why)),
        Standing::Replaced(why) => Err(in_the_way(&site.tree, &why)),
        Standing::Tree => Err(WorktreeError::InTheWay {
            path: site.tree.clone(),
            why: "git's record of this worktree is gone; preparing it makes it again".into(),
        }),
        Standing::Worktree => {
            let status = status(&site)?;
            // Somebody who has the lock notes it too, or removes the worktree.
            if let Ok(Some(lock)) = Lock::at_once(&site.lock())
                && let Ok(Standing::Worktree) = standing(&site)
            {
                // What was noted before stays good if this cannot be.
                let _ = last::note(&lock, &site);
            }
            Ok(Some(status))
        }
    }
}

/// The state of a worktree that is there.
pub(crate) fn status(site: &Site) -> Result<WorktreeStatus, WorktreeError> {
    let entry = site.entry();
    let doing = || format!("inspect {}", site.tree.display());
    // The entry is opened, not the worktree: whatever its `.git` has become is not followed.
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    let none: [&str; 0] = [];
    let repository = Repository::open_ext(&entry, flags, none).doing(doing)?;
    if repository.workdir().is_none_or(|place| place != site.tree) {
        return Err(WorktreeError::InTheWay {
            path: site.tree.clone(),
            why: "git's record of this worktree is damaged; preparing it mends it".into(),
        });
    }
    last::check(&repository, site)?;
    let mut status = WorktreeStatus::new(worktree(site));
    let record = Record::read(&entry);
    let base = record.as_ref().and_then(|record| record.base.clone());
    let head = entry::head(&repository, &entry);
    if !head.is_some_and(|head| is_clean(&repository, site, head).unwrap_or(false)) {
        status.dirty = dirty(&repository).doing(doing)?;
    }
    if let Some(head) = head {
        let base_commit = match &base {
            Some(base) => clone::commit_at(&repository, &format!("{REMOTE}{base}"))?,
            None => None,
        };
        let from = record.and_then(|record| Oid::from_str(&record.from?).ok());
        let base_commit = base_commit.or(from.filter(|id| repository.find_commit(*id).is_ok()));
        let bases: Vec<Oid> = base_commit.into_iter().collect();
        status.ahead = commits(&repository, &[head], &bases).doing(doing)?;
    }
    status.unpushed = unpushed(&repository, site).doing(doing)?;
    status.head = head.map(|head| head.to_string());
    status.base = base;
    Ok(status)
}

/// Whether there is nothing to count, which is seen faster than counted.
fn is_clean(repository: &Repository, site: &Site, head: Oid) -> Result<bool, git2::Error> {
    let root = repository.find_commit(head)?.tree_id();
    let (odb, index) = (repository.odb()?, site.entry().join("index"));
    let is_ignored = |path: &Path| repository.status_should_ignore(path).unwrap_or(false);
    Ok(files::is_clean(&odb, root, (&site.tree, &index), &is_ignored))
}

fn dirty(repository: &Repository) -> Result<u32, git2::Error> {
    let mut options = StatusOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .include_ignored(false)
        .include_unreadable(true)
        .update_index(false)
        .no_refresh(false);
    Ok(count(repository.statuses(Some(&mut options))?.len()))
}

/// How many commits of the worktree and of the issue's branch are on no branch of a remote.
pub(crate) fn unpushed(repository: &Repository, site: &Site) -> Result<u32, git2::Error> {
    let mut tips: Vec<Oid> = entry::head(repository, &site.entry()).into_iter().collect();
    tips.extend(repository.refname_to_id(&site.branch()).ok());
    let mut pushed = Vec::new();
    for reference in repository.references_glob("refs/remotes/*")? {
        // One that leads nowhere, such as the HEAD of a branch that is gone, hides nothing.
        if let Ok(commit) = reference?.peel_to_commit() {
            pushed.push(commit.id());
        }
    }
    commits(repository, &tips, &pushed)
}

fn commits(repository: &Repository, of: &[Oid], without: &[Oid]) -> Result<u32, git2::Error> {
    let mut walk = repository.revwalk()?;
    for tip in of {
        walk.push(*tip)?;
    }
    for tip in without {
        walk.hide(*tip)?;
    }
    walk.try_fold(0u32, |sum, commit| commit.map(|_| sum.saturating_add(1)))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
