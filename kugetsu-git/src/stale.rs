//! Lock files of a git that was killed.

use std::fs;
use std::path::Path;

use crate::site::Site;

/// Removes the lock files that a killed git has left in the worktree's own part of the repository,
/// if it is certain that no process works there. Git would refuse every commit because of them.
pub(crate) fn sweep(site: &Site) {
    let entry = site.entry();
    let locks = [
        entry.join("index.lock"),
        entry.join("HEAD.lock"),
        site.clone.join(format!("{}.lock", site.branch())),
    ];
    let locks: Vec<_> =
        locks.iter().filter(|lock| fs::symlink_metadata(lock).is_ok_and(|l| l.is_file())).collect();
    if locks.is_empty() || is_in_use(&[&site.tree, &entry]) {
        return;
    }
    for lock in locks {
        // If it cannot be removed, git says so to whoever works there.
        let _ = fs::remove_file(lock);
    }
}

/// Whether a process works in one of the directories or has a file in them open. Where that cannot
/// be found out, it is taken to be so.
fn is_in_use(directories: &[&Path]) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return true };
    let inside = |link: &Path| {
        fs::read_link(link)
            .is_ok_and(|target| directories.iter().any(|directory| target.starts_with(directory)))
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
