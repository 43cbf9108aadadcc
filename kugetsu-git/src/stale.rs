//! Lock files of a git that was killed: git, and we, would refuse to work because of them for ever.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::site::Site;

/// Younger locks of what all worktrees share are left alone: git closes some of its lock files
/// before it is done with them.
const AGE: Duration = Duration::from_secs(10);

/// Removes lock files that a killed git has left in the worktree's own part of the repository, if
/// it is certain that no process works there.
pub(crate) fn sweep(site: &Site) {
    remove(&own(site));
}

/// Lock files in the worktree's own part of the repository, if no process works there.
pub(crate) fn own(site: &Site) -> Vec<PathBuf> {
    let entry = site.entry();
    let branch = site.clone.join(format!("{}.lock", site.branch()));
    let locks = [entry.join("index.lock"), entry.join("HEAD.lock"), branch.clone()];
    let locks: Vec<_> = locks.into_iter().filter(|lock| is_file(lock)).collect();
    if locks.is_empty() || is_in_use(&[&site.tree, &entry, &branch]) { Vec::new() } else { locks }
}

/// All lock files in what the worktrees of a clone share.
pub(crate) fn shared_locks(clone: &Path) -> Vec<PathBuf> {
    let names = ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"];
    let mut locks: Vec<PathBuf> = names.map(|name| clone.join(name)).into();
    find_locks(&clone.join("refs"), &mut locks);
    locks.retain(|lock| is_file(lock));
    locks.sort();
    locks
}

/// Removes those of the locks that were written well before `now`, a file that was just written.
pub(crate) fn remove_old(locks: &[PathBuf], now: &Path) -> Vec<PathBuf> {
    let is_old = |lock: &&PathBuf| is_old(lock, now).unwrap_or(false);
    let removed = locks.iter().filter(is_old).filter(|lock| fs::remove_file(lock).is_ok());
    removed.cloned().collect()
}

/// Removes lock files that a killed git has left in what all worktrees of a clone share: its
/// configuration and the references that follow the remote. `now` is a file that was just written.
pub(crate) fn sweep_shared(clone: &Path, now: &Path) {
    let mut locks: Vec<PathBuf> = ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"]
        .map(|name| clone.join(name))
        .into();
    for followed in ["refs/remotes/origin", "refs/tags"] {
        find_locks(&clone.join(followed), &mut locks);
    }
    locks.retain(|lock| is_file(lock) && is_old(lock, now).unwrap_or(false));
    let paths: Vec<&Path> = locks.iter().map(PathBuf::as_path).collect();
    if !paths.is_empty() && !is_in_use(&paths) {
        remove(&locks);
    }
}

fn remove(locks: &[PathBuf]) {
    for lock in locks {
        // If it cannot be removed, git says so to whoever needs it.
        let _ = fs::remove_file(lock);
    }
}

fn find_locks(directory: &Path, found: &mut Vec<PathBuf>) {
    for inside in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = inside.path();
        if inside.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_locks(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "lock") {
            found.push(path);
        }
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether `lock` was written well before `now`, by the file system's own clock.
fn is_old(lock: &Path, now: &Path) -> std::io::Result<bool> {
    Ok(is_older(lock, fs::metadata(now)?.modified()?))
}

/// Whether `lock` was written well before that.
pub(crate) fn is_older(lock: &Path, now: SystemTime) -> bool {
    let then = fs::symlink_metadata(lock).and_then(|found| found.modified());
    then.is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age >= AGE))
}

/// Whether a process works in one of the places or has a file in them open. Where that cannot be
/// found out, it is taken to be so.
pub(crate) fn is_in_use(places: &[&Path]) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    let inside = |link: &Path| {
        fs::read_link(link).is_ok_and(|target| places.iter().any(|place| target.starts_with(place)))
    };
    let mut seen_any = false;
    for process in processes.flatten().map(|process| process.path()) {
        let number = process.file_name().unwrap_or_default().to_string_lossy();
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        seen_any = true;
        let open = fs::read_dir(process.join("fd"));
        if inside(&process.join("cwd"))
            || open.is_ok_and(|open| open.flatten().any(|file| inside(&file.path())))
        {
            return true;
        }
    }
    !seen_any
}
