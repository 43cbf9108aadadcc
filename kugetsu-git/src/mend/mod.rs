//! Mending what was found, so that nothing is lost.

mod clone;
mod tree;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kugetsu_core::WorktreeError;

use crate::blocking::blocking;
use crate::delete::delete;
use crate::examine::repository_of;
use crate::fault::{Doing, WHO};
use crate::finding::{Fault, Finding, Mended};
use crate::lock::Lock;
use crate::prepare;
use crate::provider::GitWorktrees;
use crate::site::{Roots, Site};

/// Mends what was found, if that can be done and is still so.
pub(crate) async fn mend(
    worktrees: &GitWorktrees,
    finding: &Finding,
) -> Result<Mended, WorktreeError> {
    if !finding.is_mendable() {
        return Err(by_hand(finding));
    }
    let Some(roots) = worktrees.roots.there()? else { return Ok(Mended::default()) };
    if let Some(mended) = clone::mend(worktrees, &roots, finding).await? {
        return Ok(mended);
    }
    let finding = finding.clone();
    blocking(move || match finding.fault {
        Fault::LooseMode => close(&roots, &finding.path),
        Fault::HalfMade => delete_half(&roots, &finding.path),
        _ => {
            let Some(issue) = &finding.issue else { return Err(by_hand(&finding)) };
            let site = Site::new(&roots, issue);
            let lock = prepare::lock(&site)?;
            let mended = tree::mend(&lock, &site, &finding);
            lock.release();
            mended
        }
    })
    .await
}

fn by_hand(finding: &Finding) -> WorktreeError {
    WorktreeError::Unsupported {
        who: WHO.into(),
        operation: format!("mend {} at {} by itself", finding.fault.id(), finding.path.display()),
    }
}

/// Takes the right to enter a directory of ours from others.
fn close(roots: &Roots, path: &Path) -> Result<Mended, WorktreeError> {
    let doing = || format!("change the mode of {}", path.display());
    if ![&roots.worktrees, &roots.repositories].contains(&&path.to_owned()) {
        return Ok(Mended::default());
    }
    let mut mode = fs::metadata(path).doing(doing)?.permissions();
    if mode.mode().trailing_zeros() >= 6 {
        return Ok(Mended::default());
    }
    mode.set_mode(0o700);
    fs::set_permissions(path, mode).doing(doing)?;
    Ok(Mended::new(format!("nobody but you can enter {} any more", path.display())))
}

/// Deletes half of a worktree, unless somebody is at it.
fn delete_half(roots: &Roots, path: &Path) -> Result<Mended, WorktreeError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = match name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) {
        Some((stem, "new" | "old")) if path.parent() == Some(&roots.worktrees) => stem.to_owned(),
        _ => return Ok(Mended::default()),
    };
    let lock = roots.worktrees.join(format!(".{stem}.lock"));
    let _held = Lock::wait(&lock).doing(|| format!("lock {}", lock.display()))?;
    if fs::symlink_metadata(path).is_err() {
        return Ok(Mended::default());
    }
    delete(path).doing(|| format!("delete {}", path.display()))?;
    Ok(Mended::new(format!("{} is deleted", path.display())))
}
