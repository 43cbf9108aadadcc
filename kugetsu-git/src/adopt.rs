//! Giving a worktree whose administration is gone a new one.

use git2::Oid;
use kugetsu_core::WorktreeError;

use crate::clone;
use crate::entry;
use crate::fault::Doing;
use crate::prepare::place_entry;
use crate::site::Site;

/// Puts the administration that lies ready into its place, at `commit`. No file of the worktree is
/// changed: what differs from the commit shows as uncommitted.
pub(crate) fn adopt(site: &Site, commit: Oid) -> Result<(), WorktreeError> {
    let doing = || format!("take {} up again", site.tree.display());
    let repository = clone::open(&site.clone)?;
    entry::write_index(&repository, commit, &site.new_entry()).doing(doing)?;
    place_entry(site).doing(doing)
}
