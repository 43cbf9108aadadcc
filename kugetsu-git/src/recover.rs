//! What processes have left that died while they made or removed a worktree.

use std::fs;
use std::io;
use std::path::Path;

use kugetsu_core::WorktreeError;

use crate::delete::delete;
use crate::fault::Doing;
use crate::gone;
use crate::lock::Lock;
use crate::site::Roots;

/// Deletes half-made and half-removed worktrees, and tells each in a line. Where somebody is at it
/// just now nothing is touched.
pub(crate) fn recover(roots: &Roots) -> Result<Vec<String>, WorktreeError> {
    let Some(roots) = roots.there()? else { return Ok(Vec::new()) };
    let mut told = Vec::new();
    let doing = || format!("look at {}", roots.worktrees.display());
    for inside in fs::read_dir(&roots.worktrees).doing(doing)? {
        let path = inside.doing(doing)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.strip_prefix('.');
        let (stem, what) = match hidden.and_then(|name| name.rsplit_once('.')) {
            Some((stem, "new")) => (stem, "made"),
            Some((stem, "old")) => (stem, "removed"),
            _ => continue,
        };
        let lock = roots.worktrees.join(format!(".{stem}.lock"));
        let Some(_lock) = at_once(&lock).doing(|| format!("lock {}", lock.display()))? else {
            continue;
        };
        // Whoever held the lock a moment ago may have come to the end of it.
        if fs::symlink_metadata(&path).is_ok() {
            delete(&path).doing(|| format!("delete {}", path.display()))?;
            told.push(format!("worktree {stem}: it was only half {what}; that half is deleted"));
        }
    }
    // What was removed to the end is no half: only its files are still there.
    gone::sweep(&roots.worktrees).doing(|| format!("delete in {}", roots.worktrees.display()))?;
    told.sort();
    Ok(told)
}

/// The lock, unless somebody has it. Without a lock file nobody does.
fn at_once(path: &Path) -> io::Result<Option<Lock>> {
    if fs::symlink_metadata(path).is_ok() {
        Lock::at_once(path)
    } else {
        Lock::wait(path).map(Some)
    }
}
