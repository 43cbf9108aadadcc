//! What stands where an issue's worktree belongs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kugetsu_core::WorktreeError;

use crate::entry::{self, Link, Record};
use crate::fault::Doing;
use crate::site::Site;

/// What stands where an issue's worktree belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing, or an empty directory.
    Nothing,
    /// The administration of a worktree whose directory is gone.
    Entry,
    /// The worktree. Parts of its administration may be missing.
    Worktree,
    /// The worktree's directory, whose administration is gone.
    Tree,
    /// The worktree's directory with the link to its administration replaced by something else.
    Replaced(String),
    /// Something that is not ours, and why.
    Foreign(PathBuf, String),
}

/// Looks at what is there and changes nothing.
pub(crate) fn standing(site: &Site) -> Result<Standing, WorktreeError> {
    look(site).doing(|| format!("look at {}", site.tree.display()))
}

fn look(site: &Site) -> io::Result<Standing> {
    let entry = site.entry();
    let has_entry = is_directory(&entry)?;
    if has_entry {
        let place = entry::place(&entry)?.filter(|place| *place != site.tree);
        if let Some(place) = place.filter(|place| points_to(place, &entry)) {
            let why = format!(
                "the worktree of {} was moved there; move it back to {} with `git worktree move`",
                site.issue,
                site.tree.display()
            );
            return Ok(Standing::Foreign(place, why));
        }
    }
    match fs::symlink_metadata(&site.tree) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(if has_entry { Standing::Entry } else { Standing::Nothing });
        }
        Err(error) => return Err(error),
        Ok(found) if !found.is_dir() => return Ok(foreign(site, "it is no directory")),
        Ok(_) => {}
    }
    Ok(match (entry::read_link(&site.tree)?, has_entry) {
        (Link::To(target), true) if target == entry || was_ours(site, &target) => {
            Standing::Worktree
        }
        (Link::To(target), false) if target == entry => Standing::Tree,
        // Whatever was written over the link: we know where it has to lead.
        (Link::Missing | Link::Garbled, true) => Standing::Worktree,
        (Link::Missing, false) if is_empty(&site.tree)? => Standing::Nothing,
        (Link::Missing, false) => foreign(site, "it is no worktree of git's"),
        (Link::To(target), true) if !belongs(site, &target) => Standing::Worktree,
        (Link::To(target), true) => {
            Standing::Replaced(format!("its .git leads to {}", target.display()))
        }
        (Link::Other, true) => Standing::Replaced("its .git is a repository of its own".into()),
        (Link::To(target), false) => {
            foreign(site, &format!("its .git leads to {}", target.display()))
        }
        (Link::Garbled, false) => foreign(site, "its .git is no link of git's"),
        (Link::Other, false) => foreign(site, "it is a repository of its own"),
    })
}

/// The error for whatever is in the way.
pub(crate) fn in_the_way(path: &Path, why: &str) -> WorktreeError {
    WorktreeError::InTheWay {
        path: path.to_owned(),
        why: format!("{why}; look at it and move it away"),
    }
}

fn foreign(site: &Site, why: &str) -> Standing {
    Standing::Foreign(site.tree.clone(), why.to_owned())
}

/// Whether a link led to this entry before both were moved, with all that is kugetsu's, to where
/// they are now.
fn was_ours(site: &Site, target: &Path) -> bool {
    let entry = site.entry();
    let tail = |path: &Path| path.iter().rev().take(3).map(ToOwned::to_owned).collect::<Vec<_>>();
    fs::symlink_metadata(target).is_err()
        && tail(target) == tail(&entry)
        && Record::read(&entry).is_some_and(|record| record.issue == site.issue)
}

/// Whether another repository takes this directory for a worktree of its own.
fn belongs(site: &Site, entry: &Path) -> bool {
    entry::place(entry).is_ok_and(|place| place.is_some_and(|place| place == site.tree))
}

fn points_to(tree: &Path, entry: &Path) -> bool {
    entry::read_link(tree).is_ok_and(|link| link == Link::To(entry.to_owned()))
}

fn is_directory(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(path)?.next().is_none())
}
