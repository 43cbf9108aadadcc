//! Objects that are missing or damaged.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use crate::clone;

/// How many commits, and how many objects of the newest ones, are looked at.
const COMMITS: usize = 5_000;
const OBJECTS: usize = 50_000;
/// More that are missing are not counted.
const ENOUGH: usize = 100;

/// Objects that a reference needs and that are not there or cannot be read. It looks at the newest
/// commits only, and at so many files.
pub(super) fn missing(repository: &Repository) -> Vec<String> {
    let mut missing = Vec::new();
    let mut trees = Vec::new();
    let mut commits = Vec::new();
    for reference in repository.references().into_iter().flatten().flatten() {
        let Some(target) = reference.target() else { continue };
        // A branch of an issue that leads nowhere is the worktree's own finding.
        match repository.find_object(target, None).and_then(|object| object.peel_to_commit()) {
            Ok(commit) => {
                trees.push(commit.tree_id());
                commits.push(commit.id());
            }
            Err(_) if repository.find_object(target, None).is_ok() => {}
            Err(_) => {
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                missing.push(format!("{target} ({name})"));
            }
        }
    }
    missing_commits(repository, commits, &mut missing);
    missing_files(repository, trees, &mut missing);
    missing
}

fn missing_commits(repository: &Repository, mut next: Vec<Oid>, missing: &mut Vec<String>) {
    let mut seen: HashSet<Oid> = next.iter().copied().collect();
    let mut left = COMMITS;
    while let Some(id) = next.pop().filter(|_| left > 0 && missing.len() < ENOUGH) {
        left -= 1;
        match repository.find_commit(id) {
            Ok(commit) => next.extend(commit.parent_ids().filter(|parent| seen.insert(*parent))),
            Err(_) => missing.push(id.to_string()),
        }
    }
}

fn missing_files(repository: &Repository, mut next: Vec<Oid>, missing: &mut Vec<String>) {
    let Ok(odb) = repository.odb() else { return };
    let mut seen: HashSet<Oid> = HashSet::new();
    let mut left = OBJECTS;
    while let Some(id) = next.pop().filter(|_| left > 0 && missing.len() < ENOUGH) {
        if !seen.insert(id) {
            continue;
        }
        left -= 1;
        let Ok(tree) = repository.find_tree(id) else {
            missing.push(id.to_string());
            continue;
        };
        for entry in &tree {
            match entry.kind() {
                Some(ObjectType::Tree) => next.push(entry.id()),
                Some(ObjectType::Blob) if left > 0 && seen.insert(entry.id()) => {
                    left -= 1;
                    if odb.read_header(entry.id()).is_err() {
                        missing.push(entry.id().to_string());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Objects in files of their own that cannot be read: a crash leaves them empty.
pub(crate) fn damaged_objects(clone: &Path) -> Vec<PathBuf> {
    let Ok(repository) = clone::open(clone) else { return Vec::new() };
    let Ok(odb) = repository.odb() else { return Vec::new() };
    let mut damaged = Vec::new();
    let directories = fs::read_dir(clone.join("objects")).into_iter().flatten().flatten();
    for directory in directories.filter(|directory| directory.file_name().len() == 2) {
        for object in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
            let name = [directory.file_name(), object.file_name()]
                .map(|part| part.to_string_lossy().into_owned());
            if let Ok(id) = Oid::from_str(&name.concat())
                && name[1].len() == 38
                && odb.read(id).is_err()
            {
                damaged.push(object.path());
            }
        }
    }
    damaged.sort();
    damaged
}
