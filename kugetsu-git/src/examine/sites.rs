//! Of which issues there is anything: worktrees, records of worktrees, or what kugetsu knows.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kugetsu_core::{IssueRef, RepoRef, WorktreeError};

use crate::entry::{self, Link, Record};
use crate::fault::Doing;
use crate::site::{Roots, Site};

/// The sites of the issues given, and of those that a record or a link speaks of, by issue.
pub(crate) fn sites(roots: &Roots, issues: &[IssueRef]) -> Result<Vec<Site>, WorktreeError> {
    let mut found: BTreeMap<IssueRef, Site> = BTreeMap::new();
    let mut add = |issue: IssueRef| {
        let site = Site::new(roots, &issue);
        found.entry(issue).or_insert(site);
    };
    issues.iter().cloned().for_each(&mut add);
    for clone in clones(roots)? {
        for entry in entries(&clone) {
            if let Some(issue) = issue_of_entry(roots, &entry) {
                add(issue);
            }
        }
    }
    let doing = || format!("list {}", roots.worktrees.display());
    for inside in fs::read_dir(&roots.worktrees).doing(doing)? {
        let tree = inside.doing(doing)?.path();
        if let Ok(Link::To(entry)) = entry::read_link(&tree)
            && entry.file_name() == tree.file_name()
            && let Some(issue) = issue_of_entry(roots, &entry)
        {
            add(issue);
        }
    }
    Ok(found.into_values().collect())
}

/// The issue of a worktree's record, whether the record is there or not: by what it says, if that is
/// true, and else by where it is.
pub(crate) fn issue_of_entry(roots: &Roots, entry: &Path) -> Option<IssueRef> {
    let is_its_own = |issue: &IssueRef| Site::new(roots, issue).entry() == entry;
    if let Some(record) = Record::read(entry)
        && is_its_own(&record.issue)
    {
        return Some(record.issue);
    }
    let stem = entry.file_name()?.to_str()?;
    let repository = repository_of(roots, entry.parent()?.parent()?)?;
    // `…-42`, or `…-42-x` and a hash.
    let plain = match stem.rsplit_once("-x") {
        Some((plain, hash)) if hash.len() == 16 => plain,
        _ => stem,
    };
    let (_, number) = plain.rsplit_once('-')?;
    let issue = format!("{repository}#{number}").parse().ok()?;
    is_its_own(&issue).then_some(issue)
}

/// The repository whose clone belongs at `clone`.
pub(crate) fn repository_of(roots: &Roots, clone: &Path) -> Option<RepoRef> {
    let name = clone.strip_prefix(&roots.repositories).ok()?.to_str()?;
    let repository = RepoRef::parse(name.strip_suffix(".git")?, None).ok()?;
    (roots.clone_of(&repository) == clone).then_some(repository)
}

/// The records of a clone's worktrees.
pub(crate) fn entries(clone: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(clone.join("worktrees")).into_iter().flatten().flatten();
    let mut all: Vec<_> =
        inside.map(|entry| entry.path()).filter(|path| is_directory(path)).collect();
    all.sort();
    all
}

/// All clones; owners may have several components.
pub(crate) fn clones(roots: &Roots) -> Result<Vec<PathBuf>, WorktreeError> {
    let mut found = Vec::new();
    let doing = || format!("list {}", roots.repositories.display());
    visit(&roots.repositories, &mut found).doing(doing)?;
    found.sort();
    Ok(found)
}

fn visit(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for inside in fs::read_dir(directory)? {
        let inside = inside?;
        let name = inside.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || !inside.file_type()?.is_dir() {
            continue;
        }
        if name.ends_with(".git") {
            found.push(inside.path());
        } else {
            visit(&inside.path(), found)?;
        }
    }
    Ok(())
}

pub(crate) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}
