//! What is the matter with worktrees and clones. Looking changes nothing.

mod clone;
mod head;
mod house;
mod locks;
mod nested;
mod sites;
mod tree;

use std::fs;

use kugetsu_core::{IssueRef, WorktreeError};

use crate::finding::{Fault, Finding, Remedy};
use crate::lock::Lock;
use crate::site::{Roots, Site};
use crate::source::Sources;

pub(crate) use clone::{Damage, damage, damaged_objects};
pub(crate) use head::{BranchState, Head, at, branch_state, candidate, lost};
pub(crate) use locks::stale_locks;
pub(crate) use sites::repository_of;
use sites::{clones, sites};
pub(crate) use tree::{examine_site, leads_to_clone};

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

/// What `look` finds, unless somebody makes or removes the worktree meanwhile.
fn while_quiet(
    site: &Site,
    look: impl Fn() -> Result<Vec<Finding>, WorktreeError>,
) -> Vec<Finding> {
    let file = site.lock();
    let is_there = || fs::symlink_metadata(&file).is_ok();
    let was_there = is_there();
    let found = match Lock::at_once(&file) {
        Ok(None) if was_there && is_there() => None,
        // Without a lock file nobody is at it yet; somebody may begin while we look.
        Ok(None) => Some(look()).filter(|_| !is_there()),
        Ok(Some(_held)) => Some(look()),
        Err(error) => return vec![unreadable(site, &error.to_string())],
    };
    match found {
        Some(Ok(found)) => found,
        Some(Err(error)) => vec![unreadable(site, &error.to_string())],
        None => vec![Finding::new(
            Fault::Busy,
            Some(&site.issue),
            &site.tree,
            format!("the worktree of {} is made or removed just now", site.issue),
            Remedy::Nothing,
        )],
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
