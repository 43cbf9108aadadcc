//! Lock files that a git has left which is gone.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sites::entries;
use crate::entry;
use crate::stale;

/// Lock files of a clone that nobody has any more: in what all worktrees share. None are told while
/// anybody works in the clone or in one of its worktrees.
pub(crate) fn stale_locks(clone: &Path) -> Vec<PathBuf> {
    let mut locks = stale::shared_locks(clone);
    // Only a guess, which mending makes sure of by the file system's own clock.
    let now = SystemTime::now();
    locks.retain(|lock| stale::is_older(lock, now));
    if locks.is_empty() {
        return locks;
    }
    let mut places = vec![clone.to_owned()];
    places.extend(entries(clone).iter().filter_map(|entry| entry::place(entry).ok()?));
    let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
    if stale::is_in_use(&places) { Vec::new() } else { locks }
}
