//! What is the matter with worktrees and clones. Looking changes nothing.

mod clone;
mod head;
mod house;
mod locks;
mod nested;
mod objects;
mod planted;
mod sites;
mod tree;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use kugetsu_core::{IssueRef, WorktreeError};

use crate::finding::{Fault, Finding, Remedy};
use crate::lock::Lock;
use crate::site::{Roots, Site};
use crate::source::Sources;

pub(crate) use clone::{Damage, damage};
pub(crate) use head::{BranchState, Head, at, branch_state, candidate, lost};
pub(crate) use locks::stale_locks;
pub(crate) use objects::damaged_objects;
use sites::sites;
pub(crate) use sites::{clones, repository_of};
pub(crate) use tree::{examine_site, leads_to_clone, read_index};

/// All that is the matter, the clones' faults before those of their worktrees.
pub(crate) fn examine(
    roots: &Roots,
    sources: &dyn Sources,
    issues: &[IssueRef],
) -> Result<Vec<Finding>, WorktreeError> {
    let Some(roots) = roots.there()? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let sites = sites(&roots, issues)?;
    house::examine(&roots, &sites, &mut found)?;
    for clone in clones(&roots)? {
        let repository = repository_of(&roots, &clone);
        clone::examine(&clone, repository.as_ref(), sources, &sites, &mut found);
    }
    clone::examine_missing(&sites, &mut found);
    for site in &sites {
        let known = issues.contains(&site.issue);
        found.extend(while_quiet(site, || examine_site(site, known)));
    }
    Ok(found)
}

/// For so long, and so often in it, somebody who has a lock is waited for. Whoever makes a worktree
/// takes longer, and whoever only looks does not.
const PATIENCE: Duration = Duration::from_millis(200);
const TRIES: u32 = 10;

/// What `look` finds, unless somebody makes or removes the worktree meanwhile.
fn while_quiet(
    site: &Site,
    look: impl Fn() -> Result<Vec<Finding>, WorktreeError>,
) -> Vec<Finding> {
    for turn in 0..TRIES {
        if turn > 0 {
            std::thread::sleep(PATIENCE / TRIES);
        }
        match while_locked(&site.lock(), &look) {
            Ok(None) => {}
            Ok(Some(Ok(found))) => return found,
            Ok(Some(Err(error))) => return vec![unreadable(site, &error.to_string())],
            Err(error) => return vec![unreadable(site, &error.to_string())],
        }
    }
    vec![Finding::new(
        Fault::Busy,
        Some(&site.issue),
        &site.tree,
        format!("the worktree of {} is made or removed just now", site.issue),
        Remedy::Nothing,
    )]
}

/// What `look` gives while nobody else has the lock; `None` if somebody has it, or has taken it
/// meanwhile.
fn while_locked<T>(file: &Path, look: impl Fn() -> T) -> io::Result<Option<T>> {
    let is_there = || fs::symlink_metadata(file).is_ok();
    let was_there = is_there();
    match Lock::at_once(file)? {
        Some(held) => {
            let found = look();
            held.release();
            Ok(Some(found))
        }
        None if was_there => Ok(None),
        // Without a lock file nobody is at it yet; somebody may begin while we look.
        None => Ok(Some(look()).filter(|_| !is_there())),
    }
}

fn unreadable(site: &Site, why: &str) -> Finding {
    Finding::new(
        Fault::Unreadable,
        Some(&site.issue),
        &site.tree,
        format!("the worktree of {} cannot be examined: {why}", site.issue),
        Remedy::by_hand("see to it that you may read it, and what is above it"),
    )
}
