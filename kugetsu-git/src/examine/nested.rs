//! Repositories inside of worktrees.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// How deep, and through how many names, is looked for repositories in a worktree.
const DEPTH: usize = 8;
const MOST: usize = 100_000;

/// The repositories and worktrees inside of the worktree that are no submodules.
pub(super) fn nested(tree: &Path, submodules: &HashSet<Vec<u8>>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = MOST;
    let mut next = vec![(tree.to_owned(), 0)];
    while let Some((directory, depth)) = next.pop() {
        for inside in fs::read_dir(&directory).into_iter().flatten().flatten() {
            left = left.saturating_sub(1);
            if left == 0 {
                return found;
            }
            let path = inside.path();
            if inside.file_name() == ".git" {
                let relative = directory.strip_prefix(tree).unwrap_or(&directory);
                let is_submodule = submodules.contains(relative.as_os_str().as_bytes());
                if directory != tree && !is_submodule {
                    found.push(directory.clone());
                }
            } else if depth < DEPTH && inside.file_type().is_ok_and(|kind| kind.is_dir()) {
                next.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}
