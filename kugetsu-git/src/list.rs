//! All worktrees.

use std::fs;
use std::io;
use std::path::Path;

use kugetsu_core::{Worktree, WorktreeError};

use crate::entry::Record;
use crate::fault::Doing;
use crate::prepare::worktree;
use crate::site::{Roots, Site};
use crate::standing::{Standing, standing};

pub(crate) fn list(roots: &Roots) -> Result<Vec<Worktree>, WorktreeError> {
    let Some(roots) = roots.there()? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let doing = || format!("list {}", roots.repositories.display());
    visit(&roots.repositories, &roots, &mut found).doing(doing)??;
    found.sort_by(|one, other| one.issue.cmp(&other.issue));
    Ok(found)
}

/// Looks for clones; owners may have several components.
fn visit(
    directory: &Path,
    roots: &Roots,
    found: &mut Vec<Worktree>,
) -> io::Result<Result<(), WorktreeError>> {
    for inside in fs::read_dir(directory)? {
        let inside = inside?;
        let name = inside.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || !inside.file_type()?.is_dir() {
            continue;
        }
        let path = inside.path();
        let result = if name.ends_with(".git") {
            in_clone(&path, roots, found)
        } else {
            visit(&path, roots, found)?
        };
        if result.is_err() {
            return Ok(result);
        }
    }
    Ok(Ok(()))
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
