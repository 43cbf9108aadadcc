//! Where a worktree's HEAD and its branch are.

use git2::{Oid, Repository};
use kugetsu_core::WorktreeError;

use super::tree::Look;
use crate::clone;
use crate::entry::{self, Record};
use crate::fault::Doing;
use crate::finding::{Fault, Remedy};
use crate::last;
use crate::site::Site;

/// Where a branch is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BranchState {
    Gone,
    At(Oid),
    /// It leads to something that is no commit of the clone's, or nowhere at all.
    Broken(String),
}

pub(crate) fn branch_state(repository: &Repository, name: &str) -> BranchState {
    match repository.find_reference(name) {
        Ok(reference) => match reference.peel_to_commit() {
            Ok(commit) => BranchState::At(commit.id()),
            Err(_) => BranchState::Broken(match reference.target() {
                Some(id) => format!("{id}, which is not in the clone"),
                None => "something that is not there".into(),
            }),
        },
        Err(error)
            if matches!(error.code(), git2::ErrorCode::NotFound | git2::ErrorCode::InvalidSpec) =>
        {
            BranchState::Gone
        }
        Err(error) => BranchState::Broken(format!("nowhere ({})", error.message())),
    }
}

/// What an entry's HEAD says.
pub(crate) enum Head {
    On(String),
    At(Oid),
    Garbled,
}

impl Head {
    /// `None` if there is none.
    pub(crate) fn read(site: &Site) -> Option<Self> {
        let text = entry::read_file(&site.entry().join("HEAD")).ok()??;
        let Ok(text) = String::from_utf8(text) else { return Some(Self::Garbled) };
        Some(match text.trim().strip_prefix("ref:").map(str::trim) {
            Some(name) if git2::Reference::is_valid_name(name) && name.starts_with("refs/") => {
                Self::On(name.to_owned())
            }
            Some(_) => Self::Garbled,
            None => match text.trim() {
                id if id.len() == 40 => Oid::from_str(id).map_or(Self::Garbled, Self::At),
                _ => Self::Garbled,
            },
        })
    }
}

/// Whether the issue's branch is there, or can be made again.
pub(crate) fn is_restorable(repository: &Repository, site: &Site) -> bool {
    at(repository, &site.branch()).is_some()
        || candidate(repository, site, &site.branch()).is_some()
}

/// Where a branch that is gone or broken may go on: a commit that it was at before, here or at the
/// remote; and if the clone has lost what the worktree was at, where the issue has started.
pub(crate) fn candidate(repository: &Repository, site: &Site, branch: &str) -> Option<Oid> {
    let before = last::seen(repository, site, branch);
    let remote = branch.replacen("refs/heads/", clone::REMOTE, 1);
    let pushed = || at(repository, &remote).filter(|_| remote != branch);
    before.or_else(pushed).or_else(|| lost(repository, site).and_then(|_| start(repository, site)))
}

/// The commit that the worktree was at, if the clone no longer has it.
pub(crate) fn lost(repository: &Repository, site: &Site) -> Option<Oid> {
    last::noted(site).filter(|commit| repository.find_commit(*commit).is_err())
}

/// Where the issue has started, or else would start now.
fn start(repository: &Repository, site: &Site) -> Option<Oid> {
    let from = Record::read(&site.entry()).and_then(|record| Oid::from_str(&record.from?).ok());
    from.filter(|commit| repository.find_commit(*commit).is_ok()).or_else(|| {
        let base = clone::default_branch(repository)?;
        at(repository, &format!("{}{base}", clone::REMOTE))
    })
}

/// The commit that a branch is at, if it is at one.
pub(crate) fn at(repository: &Repository, name: &str) -> Option<Oid> {
    match branch_state(repository, name) {
        BranchState::At(commit) => Some(commit),
        BranchState::Gone | BranchState::Broken(_) => None,
    }
}

impl Look<'_> {
    pub(super) fn head(&mut self, repository: &Repository) -> Result<(), WorktreeError> {
        let (site, path) = (self.site, self.site.entry().join("HEAD"));
        let Some(head) = Head::read(site) else { return Ok(()) };
        match head {
            Head::Garbled => {
                let found = format!("{} is no HEAD of git's", path.display());
                let remedy = self.back_to_branch(repository);
                self.tell(Fault::HeadBroken, &path, found, remedy);
            }
            Head::At(commit) if repository.find_commit(commit).is_err() => {
                let found = format!(
                    "the worktree of {} is at commit {commit}, which is not in the clone",
                    site.issue
                );
                let remedy = self.back_to_branch(repository);
                self.tell(Fault::HeadBroken, &path, found, remedy);
            }
            Head::At(commit) => {
                let doing = || format!("look for {commit}");
                let found = format!("the worktree of {} is on no branch", site.issue);
                if last::is_kept(repository, commit).doing(doing)? {
                    self.tell(Fault::HeadElsewhere, &path, found, Remedy::Nothing);
                } else {
                    let found = format!("{found}, and no branch has its commit {commit}");
                    let remedy = Remedy::mend("give the commit a reference of its own");
                    self.tell(Fault::HeadDetached, &path, found, remedy);
                }
            }
            Head::On(branch) => self.on(repository, &branch)?,
        }
        Ok(())
    }

    fn on(&mut self, repository: &Repository, branch: &str) -> Result<(), WorktreeError> {
        let site = self.site;
        let path = site.clone.join(branch);
        let name = branch.strip_prefix("refs/heads/").unwrap_or(branch);
        if branch != site.branch() {
            let found = format!("the worktree of {} is on {name}", site.issue);
            self.tell(Fault::HeadElsewhere, &site.entry().join("HEAD"), found, Remedy::Nothing);
        }
        match branch_state(repository, branch) {
            BranchState::At(_) => {
                if last::noted(site).is_none() {
                    let found = format!("where the worktree of {} is was not noted", site.issue);
                    let remedy = Remedy::mend("note it now");
                    self.tell(Fault::NotNoted, &site.last(), found, remedy);
                }
            }
            BranchState::Gone => {
                let Some(gone) = last::gone(repository, site)? else { return Ok(()) };
                if gone.unborn {
                    return Ok(());
                }
                let found = format!("{name}, which the worktree of {} is on, is gone", site.issue);
                let remedy = match gone.commit.or_else(|| candidate(repository, site, branch)) {
                    Some(commit) => Remedy::mend(format!("make it again at {commit}")),
                    None => Remedy::by_hand(format!(
                        "find its commit with `git fsck --lost-found` in {}, and make it again \
                         with `git update-ref {branch} <commit>`",
                        site.clone.display()
                    )),
                };
                self.tell(Fault::BranchGone, &path, found, remedy);
            }
            BranchState::Broken(what) => {
                let found =
                    format!("{name}, which the worktree of {} is on, leads to {what}", site.issue);
                let remedy = match candidate(repository, site, branch) {
                    Some(commit) => Remedy::mend(format!(
                        "set it to {commit}, where it was before; the files stay as they are"
                    )),
                    None => Remedy::by_hand(format!(
                        "fetch that commit into {} from wherever else it is",
                        site.clone.display()
                    )),
                };
                self.tell(Fault::BranchBroken, &path, found, remedy);
            }
        }
        Ok(())
    }

    fn back_to_branch(&self, repository: &Repository) -> Remedy {
        let branch = self.site.branch();
        if is_restorable(repository, self.site) {
            Remedy::mend(format!(
                "put it back on {}; the files stay as they are",
                self.site.issue.branch()
            ))
        } else {
            Remedy::by_hand(format!("make the branch with `git update-ref {branch} <commit>`"))
        }
    }
}
