//! The two directories that hold everything: who may enter them, and what else is in them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kugetsu_core::WorktreeError;

use crate::entry::{self, Link};
use crate::fault::Doing;
use crate::finding::{Fault, Finding, Remedy};
use crate::gone::GONE;
use crate::site::{Roots, Site};

/// What hidden files and directories beside the worktrees are ours.
const OURS: [&str; 6] = ["lock", "last", "new", "old", "rescue", GONE];

pub(super) fn examine(
    roots: &Roots,
    sites: &[Site],
    found: &mut Vec<Finding>,
) -> Result<(), WorktreeError> {
    for root in [&roots.worktrees, &roots.repositories] {
        let mode = fs::metadata(root).doing(|| format!("look at {}", root.display()))?;
        let mode = mode.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            found.push(Finding::new(
                Fault::LooseMode,
                None,
                root,
                format!("others than you can enter {} (mode {mode:03o})", root.display()),
                Remedy::mend("take the right to enter it from others (mode 700)"),
            ));
        }
    }
    let stems: BTreeSet<&str> = sites.iter().map(|site| site.stem.as_str()).collect();
    let doing = || format!("list {}", roots.worktrees.display());
    for inside in fs::read_dir(&roots.worktrees).doing(doing)? {
        let path = inside.doing(doing)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.strip_prefix('.').and_then(|name| name.rsplit_once('.'));
        match hidden.filter(|(_, kind)| OURS.contains(kind)) {
            Some((stem, kind @ ("new" | "old"))) => {
                let issue = sites.iter().find(|site| site.stem == stem);
                found.extend(half(&path, &roots.worktrees, stem, kind, issue));
            }
            Some((_, "rescue")) => found.push(kept_aside(&path)),
            Some(_) => {}
            None if stems.contains(name.as_str()) => {}
            // It is told of the worktree.
            None if sites.iter().any(|site| is_renamed(site, &path)) => {}
            None => found.push(stray(&path)),
        }
    }
    halves_of_clones(&roots.repositories, found);
    Ok(())
}

fn is_renamed(site: &Site, path: &Path) -> bool {
    fs::symlink_metadata(&site.tree).is_err()
        && entry::read_link(path).is_ok_and(|link| link == Link::To(site.entry()))
}

fn half(
    path: &Path,
    worktrees: &Path,
    stem: &str,
    kind: &str,
    site: Option<&Site>,
) -> Option<Finding> {
    let lock = worktrees.join(format!(".{stem}.lock"));
    let is_busy = !matches!(super::while_locked(&lock, || ()), Ok(Some(())));
    // Whoever has the lock is at it, and tells of its own.
    (!is_busy && fs::symlink_metadata(path).is_ok()).then(|| {
        let end = if kind == "new" { "not made" } else { "not removed" };
        Finding::new(
            Fault::HalfMade,
            site.map(|site| &site.issue),
            path,
            format!("{} is half of a worktree that was {end} to the end", path.display()),
            Remedy::mend("delete that half; no agent works in it"),
        )
    })
}

fn stray(path: &Path) -> Finding {
    Finding::new(
        Fault::Stray,
        None,
        path,
        format!("{} is a worktree of no issue that is known here", path.display()),
        Remedy::by_hand("look at it, and move it away"),
    )
}

fn kept_aside(path: &Path) -> Finding {
    Finding::new(
        Fault::RescueKept,
        None,
        path,
        format!("{} holds what was moved aside when something was mended", path.display()),
        Remedy::by_hand("look at it, and delete it when it is of no use any more"),
    )
}

/// What the making or fetching of a clone has left, beside where the clone is.
fn halves_of_clones(directory: &Path, found: &mut Vec<Finding>) {
    for inside in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = inside.path();
        let name = inside.file_name().to_string_lossy().into_owned();
        let is_directory = inside.file_type().is_ok_and(|kind| kind.is_dir());
        match name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) {
            Some((stem, "new" | "fetch")) if is_directory => {
                let lock = path.with_file_name(format!(".{stem}.lock"));
                if !matches!(super::while_locked(&lock, || ()), Ok(Some(()))) {
                    continue;
                }
                found.push(Finding::new(
                    Fault::CloneHalfMade,
                    None,
                    &path,
                    format!("{} is left of a clone or fetch that died", path.display()),
                    Remedy::mend("delete it; the next fetch begins again"),
                ));
            }
            _ if is_directory
                && !name.starts_with('.')
                && path.extension().is_none_or(|kind| kind != "git") =>
            {
                halves_of_clones(&path, found);
            }
            _ => {}
        }
    }
}
