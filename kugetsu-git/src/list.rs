//! All worktrees.

use std::fs;
use std::path::Path;

use kugetsu_core::{Worktree, WorktreeError};

use crate::entry::Record;
use crate::examine::clones;
use crate::prepare::worktree;
use crate::site::{Roots, Site};
use crate::standing::{Standing, standing};

pub(crate) fn list(roots: &Roots) -> Result<Vec<Worktree>, WorktreeError> {
    let Some(roots) = roots.there()? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for clone in clones(&roots)? {
        in_clone(&clone, &roots, &mut found)?;
    }
    found.sort_by(|one, other| one.issue.cmp(&other.issue));
    Ok(found)
}

fn in_clone(clone: &Path, roots: &Roots, found: &mut Vec<Worktree>) -> Result<(), WorktreeError> {
    let Ok(entries) = fs::read_dir(clone.join("worktrees")) else { return Ok(()) };
    for entry in entries.flatten().map(|entry| entry.path()) {
        let Some(record) = Record::read(&entry) else { continue };
        let site = Site::new(roots, &record.issue);
        // The record can be written by agents: it is believed only in its own place.
        if site.entry() == entry && standing(&site)? == Standing::Worktree {
            found.push(worktree(&site));
        }
    }
    Ok(())
}
