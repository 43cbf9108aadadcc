//! What is the matter with one worktree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};
use kugetsu_core::WorktreeError;

use super::sites::{entries, is_directory};
use crate::clone;
use crate::entry::{self, Link, Record};
use crate::fault::Doing;
use crate::finding::{Fault, Finding, Remedy};
use crate::last;
use crate::site::Site;
use crate::stale;
use crate::standing::{Standing, standing};

/// What is the matter with the worktree; `known` is whether kugetsu knows the issue.
pub(crate) fn examine_site(site: &Site, known: bool) -> Result<Vec<Finding>, WorktreeError> {
    let mut look = Look { site, found: Vec::new() };
    match standing(site)? {
        Standing::Nothing => look.nothing(),
        Standing::Entry => look.entry(known),
        Standing::Tree => look.tree(),
        Standing::Replaced(why) => look.replaced(&why)?,
        Standing::Foreign(path, _) if path != site.tree => look.moved(&path),
        Standing::Foreign(_, why) => look.foreign(&why, known),
        Standing::Worktree => look.worktree()?,
    }
    look.branch_elsewhere();
    Ok(look.found)
}

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

/// Whether what stands in the way was the issue's worktree once: kugetsu has noted where it was.
pub(crate) fn was_ours(site: &Site) -> bool {
    last::noted(site).is_some() && is_directory(&site.tree)
}

struct Look<'a> {
    site: &'a Site,
    found: Vec<Finding>,
}

impl Look<'_> {
    fn tell(&mut self, fault: Fault, path: &Path, found: impl Into<String>, remedy: Remedy) {
        self.found.push(Finding::new(fault, Some(&self.site.issue), path, found, remedy));
    }

    fn nothing(&mut self) {
        let Ok(repository) = clone::open(&self.site.clone) else { return };
        let Some(commit) = last::noted(self.site) else { return };
        let branch = self.site.branch();
        if repository.find_commit(commit).is_err()
            && branch_state(&repository, &branch) == BranchState::Gone
        {
            let found = format!(
                "the worktree of {} was at commit {commit}, which the clone no longer has",
                self.site.issue
            );
            self.tell(Fault::CommitsLost, &self.site.last(), found, lost());
        }
    }

    fn entry(&mut self, known: bool) {
        let (site, entry) = (self.site, self.site.entry());
        let is_locked = entry::read_file(&entry.join("locked"))
            .is_ok_and(|text| text.is_some_and(|text| !text.starts_with(b"kugetsu")));
        let found =
            format!("the worktree of {} is gone, and its record in the clone is not", site.issue);
        let remedy = if is_locked {
            Remedy::by_hand("unlock it with `git worktree unlock`, if nobody needs it any more")
        } else {
            Remedy::mend(
                "save what only its record holds and remove the record; the next start makes the \
                 worktree again from its branch",
            )
        };
        let fault = if known { Fault::DirectoryGone } else { Fault::RecordDangling };
        self.tell(fault, &entry, found, remedy);
    }

    fn tree(&mut self) {
        let site = self.site;
        let found = format!("the record of the worktree of {} is gone from the clone", site.issue);
        let remedy = match clone::open(&site.clone) {
            Ok(repository) if is_restorable(&repository, site) => take_up(),
            Ok(_) => Remedy::by_hand(
                "find the commit that its branch was at with `git fsck --lost-found`, and make the \
                 branch again with `git branch`",
            ),
            // The clone's own finding comes before this one.
            Err(_) => take_up(),
        };
        self.tell(Fault::RecordGone, &site.tree, found, remedy);
    }

    fn replaced(&mut self, why: &str) -> Result<(), WorktreeError> {
        let site = self.site;
        let link =
            entry::read_link(&site.tree).doing(|| format!("look at {}", site.tree.display()))?;
        let found = format!("{} is not what kugetsu has made it: {why}", site.tree.display());
        let remedy = if link == Link::Other {
            Remedy::mend("move that aside, and link the worktree to its record again")
        } else {
            Remedy::by_hand("look at it, and move it away with `git worktree move`")
        };
        self.tell(Fault::LinkReplaced, &site.tree.join(".git"), found, remedy);
        Ok(())
    }

    fn moved(&mut self, place: &Path) {
        let site = self.site;
        let found = format!("the worktree of {} was moved to {}", site.issue, place.display());
        let is_free = fs::symlink_metadata(&site.tree).is_err();
        let back = format!("move it back to {}", site.tree.display());
        let remedy = if is_free && is_directory(place) {
            Remedy::mend(back)
        } else {
            Remedy::by_hand(format!("{back}, after what stands there now is moved away"))
        };
        self.tell(Fault::Moved, place, found, remedy);
    }

    fn foreign(&mut self, why: &str, known: bool) {
        let site = self.site;
        let tree = &site.tree;
        if was_ours(site) {
            let found =
                format!("neither link nor record of the worktree of {} are there", site.issue);
            let is_restorable =
                clone::open(&site.clone).is_ok_and(|clone| is_restorable(&clone, site));
            let is_linkless = matches!(entry::read_link(tree), Ok(Link::Missing | Link::Garbled));
            if is_linkless && (is_restorable || fs::symlink_metadata(&site.clone).is_err()) {
                return self.tell(Fault::RecordGone, tree, found, take_up());
            }
        }
        let found =
            format!("{} is in the way of the worktree of {}: {why}", tree.display(), site.issue);
        let remedy = if is_directory(tree) {
            Remedy::by_hand("look at it, and move it away")
        } else {
            Remedy::mend("move it aside; what a link leads to stays as it is")
        };
        let fault = if known { Fault::InTheWay } else { Fault::Stray };
        self.tell(fault, tree, found, remedy);
    }

    fn worktree(&mut self) -> Result<(), WorktreeError> {
        let site = self.site;
        let doing = || format!("look at {}", site.tree.display());
        self.link().doing(doing)?;
        self.record().doing(doing)?;
        for lock in stale::own(site) {
            let found = format!("{} is left of a git that is gone", lock.display());
            self.tell(Fault::StaleLock, &lock, found, Remedy::mend("delete it"));
        }
        self.unfinished();
        self.nested();
        // Without a clone that can be opened nothing more can be said; that is the clone's finding.
        let Ok(repository) = clone::open(&site.clone) else { return Ok(()) };
        self.head(&repository)?;
        self.index(&repository);
        Ok(())
    }

    fn link(&mut self) -> io::Result<()> {
        let (site, link) = (self.site, self.site.tree.join(".git"));
        let what = match entry::read_link(&site.tree)? {
            Link::To(target) if target == site.entry() => return Ok(()),
            Link::To(target) => format!("leads to {}", target.display()),
            Link::Missing => "is missing or empty".into(),
            Link::Garbled => "is no link of git's".into(),
            Link::Other => "is no file".into(),
        };
        let found = format!("{} {what}", link.display());
        self.tell(Fault::LinkWrong, &link, found, Remedy::mend("write the link again"));
        Ok(())
    }

    fn record(&mut self) -> io::Result<()> {
        let (site, entry) = (self.site, self.site.entry());
        let mut wrong = Vec::new();
        if entry::place(&entry)?.is_none_or(|place| place != site.tree) {
            wrong.push("gitdir");
        }
        if !leads_to_clone(site) {
            wrong.push("commondir");
        }
        if entry::read_file(&entry.join("HEAD"))?.is_none() {
            wrong.push("HEAD");
        }
        if fs::symlink_metadata(entry.join("index")).is_err() {
            wrong.push("index");
        }
        if Record::read(&entry).is_none_or(|record| record.issue != site.issue) {
            wrong.push("kugetsu.json");
        }
        if entry::is_locked_by_us(&entry) {
            wrong.push("locked");
        }
        if !wrong.is_empty() {
            let found = format!(
                "in the record of the worktree of {} these are missing or wrong: {}",
                site.issue,
                wrong.join(", ")
            );
            let remedy = Remedy::mend("write them again; no file of the worktree is touched");
            self.tell(Fault::RecordDamaged, &entry, found, remedy);
        }
        Ok(())
    }

    fn head(&mut self, repository: &Repository) -> Result<(), WorktreeError> {
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
                if !last::is_kept(repository, commit).doing(doing)? {
                    let found = format!(
                        "the worktree of {} is on no branch, and no branch has its commit {commit}",
                        site.issue
                    );
                    let remedy = Remedy::mend("give the commit a reference of its own");
                    self.tell(Fault::HeadDetached, &path, found, remedy);
                } else {
                    let found = format!("the worktree of {} is on no branch", site.issue);
                    self.tell(Fault::HeadElsewhere, &path, found, Remedy::Nothing);
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
                let remedy = match gone.commit {
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

    fn index(&mut self, repository: &Repository) {
        let (site, path) = (self.site, self.site.entry().join("index"));
        if fs::symlink_metadata(&path).is_err() {
            return;
        }
        let Err(error) = read_index(&path) else { return };
        let found = format!("{} cannot be read: {}", path.display(), error.message());
        let is_other_format = error.message().contains("unsupported");
        let remedy = if is_other_format {
            Remedy::by_hand(
                "have git write it again in the usual format: \
                 `git update-index --no-split-index --force-write-index`",
            )
        } else if entry::head(repository, &site.entry()).is_some() {
            Remedy::mend(
                "move it aside and make it again from the commit; the files stay as they are",
            )
        } else {
            Remedy::by_hand("mend what is said of its branch first")
        };
        self.tell(Fault::IndexBroken, &path, found, remedy);
    }

    fn unfinished(&mut self) {
        let entry = self.site.entry();
        for (name, what, end) in [
            ("MERGE_HEAD", "a merge", "git merge --continue` or `git merge --abort"),
            ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --continue` or `--abort"),
            ("REVERT_HEAD", "a revert", "git revert --continue` or `--abort"),
            ("rebase-merge", "a rebase", "git rebase --continue` or `git rebase --abort"),
            ("rebase-apply", "a rebase", "git rebase --continue` or `git rebase --abort"),
            ("BISECT_LOG", "a bisection", "git bisect reset"),
        ] {
            let path = entry.join(name);
            if fs::symlink_metadata(&path).is_ok() {
                let found = format!("the worktree of {} is in {what}", self.site.issue);
                let remedy =
                    Remedy::by_hand(format!("end it with `{end}`, or have the agent do so"));
                self.tell(Fault::Unfinished, &path, found, remedy);
            }
        }
    }

    fn nested(&mut self) {
        let links = read_index(&self.site.entry().join("index"))
            .map(|index| {
                index
                    .iter()
                    .filter(|entry| entry.mode == 0o160_000)
                    .map(|entry| entry.path)
                    .collect()
            })
            .unwrap_or_default();
        for place in nested(&self.site.tree, &links) {
            let found = format!("{} is a repository or worktree of its own", place.display());
            let remedy = Remedy::by_hand("look whether its work is pushed somewhere");
            self.tell(Fault::Nested, &place, found, remedy);
        }
    }

    /// Tells of other worktrees that are on the issue's branch.
    fn branch_elsewhere(&mut self) {
        let site = self.site;
        for other in entries(&site.clone) {
            if other == site.entry() || entry::on(&other) != Some(site.branch()) {
                continue;
            }
            let Ok(Some(place)) = entry::place(&other) else { continue };
            if fs::symlink_metadata(&place).is_err() {
                continue;
            }
            let found = format!(
                "the branch {} of {} is checked out in {}",
                site.issue.branch(),
                site.issue,
                place.display()
            );
            let remedy = Remedy::mend(
                "take that worktree off the branch and leave it at its commit; no file is touched",
            );
            self.tell(Fault::BranchElsewhere, &other, found, remedy);
        }
    }
}

fn lost() -> Remedy {
    Remedy::by_hand(
        "fetch that commit into the clone from wherever else it is, or give its work up with \
         `kugetsu destroy --force` and start again",
    )
}

fn take_up() -> Remedy {
    Remedy::mend("give it a new record on its branch; the files stay as they are")
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
    matches!(branch_state(repository, &site.branch()), BranchState::At(_))
        || candidate(repository, site, &site.branch()).is_some()
}

/// A commit that the branch was at, and that is there.
pub(crate) fn candidate(repository: &Repository, site: &Site, branch: &str) -> Option<Oid> {
    last::seen(repository, site, branch).or_else(|| {
        let remote = branch.replacen("refs/heads/", clone::REMOTE, 1);
        match branch_state(repository, &remote) {
            BranchState::At(commit) if remote != branch => Some(commit),
            _ => None,
        }
    })
}

/// Reads an index as it is on disk.
pub(crate) fn read_index(path: &Path) -> Result<git2::Index, git2::Error> {
    let mut index = git2::Index::open(path)?;
    index.read(true)?;
    Ok(index)
}

pub(crate) fn leads_to_clone(site: &Site) -> bool {
    let entry = site.entry();
    let text = entry::read_file(&entry.join("commondir")).ok().flatten().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(&text) else { return false };
    !text.trim().is_empty()
        && entry.join(text.trim()).canonicalize().is_ok_and(|place| place == site.clone)
}

/// How deep, and through how many names, is looked for repositories in a worktree.
const DEPTH: usize = 8;
const MOST: usize = 100_000;

/// The repositories and worktrees inside of the worktree that are no submodules.
fn nested(tree: &Path, submodules: &std::collections::HashSet<Vec<u8>>) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
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
