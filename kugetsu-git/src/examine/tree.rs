//! What is the matter with one worktree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Repository;
use kugetsu_core::WorktreeError;

use super::head::{at, is_restorable, lost};
use super::nested::nested;
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

/// Whether what stands in the way was the issue's worktree once: kugetsu has noted where it was.
pub(crate) fn was_ours(site: &Site) -> bool {
    last::noted(site).is_some() && is_directory(&site.tree)
}

/// What is found while one worktree is looked at.
pub(super) struct Look<'a> {
    pub(super) site: &'a Site,
    found: Vec<Finding>,
}

impl Look<'_> {
    pub(super) fn tell(
        &mut self,
        fault: Fault,
        path: &Path,
        found: impl Into<String>,
        remedy: Remedy,
    ) {
        self.found.push(Finding::new(fault, Some(&self.site.issue), path, found, remedy));
    }

    fn nothing(&mut self) {
        let Ok(repository) = clone::open(&self.site.clone) else { return };
        let Some(commit) = lost(&repository, self.site) else { return };
        if at(&repository, &self.site.branch()).is_none() {
            let found = format!(
                "the worktree of {} was at commit {commit}, which the clone no longer has",
                self.site.issue
            );
            let remedy = Remedy::by_hand(
                "fetch that commit into the clone from wherever else it is, or give its work up \
                 with `kugetsu destroy --force` and start again",
            );
            self.tell(Fault::CommitsLost, &self.site.last(), found, remedy);
        }
    }

    fn entry(&mut self, known: bool) {
        let (site, entry) = (self.site, self.site.entry());
        if let Some(place) = renamed(site) {
            return self.moved(&place);
        }
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
            Ok(repository) if lost(&repository, site).is_some() => start_over(),
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
        let leads_to_ours = fs::symlink_metadata(tree).is_ok_and(|found| found.is_symlink())
            && entry::read_link(tree).is_ok_and(|link| link == Link::To(site.entry()));
        let remedy = if leads_to_ours {
            Remedy::by_hand("move the worktree that it leads to back to where the link is")
        } else if is_directory(tree) {
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
        if wrong.is_empty() {
            return Ok(());
        }
        let found = format!(
            "in the record of the worktree of {} these are missing or wrong: {}",
            site.issue,
            wrong.join(", ")
        );
        let remedy = Remedy::mend("write them again; no file of the worktree is touched");
        self.tell(Fault::RecordDamaged, &entry, found, remedy);
        Ok(())
    }

    fn index(&mut self, repository: &Repository) {
        let (site, path) = (self.site, self.site.entry().join("index"));
        if fs::symlink_metadata(&path).is_err() {
            return;
        }
        let (why, can_git_read) = match read_index(&path) {
            Err(error) => (error.message().to_owned(), error.message().contains("unsupported")),
            Ok(index) => match missing(repository, &index) {
                Some(name) => (format!("what it holds of {name} is not in the clone"), false),
                None => return,
            },
        };
        let found = format!("{} cannot be used: {why}", path.display());
        let remedy = if can_git_read {
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

fn start_over() -> Remedy {
    Remedy::mend(
        "save its files, and give it a new record where the issue starts; the files stay as they \
         are, and show as uncommitted",
    )
}

fn take_up() -> Remedy {
    Remedy::mend("give it a new record on its branch; the files stay as they are")
}

/// Where the worktree's directory is, if somebody has only given it another name.
pub(super) fn renamed(site: &Site) -> Option<PathBuf> {
    let beside = fs::read_dir(site.tree.parent()?).ok()?;
    let mut places = beside.flatten().filter(|inside| is_directory(&inside.path()));
    let is_ours =
        |place: &Path| entry::read_link(place).is_ok_and(|to| to == Link::To(site.entry()));
    places.find(|inside| is_ours(&inside.path())).map(|inside| inside.path())
}

/// Reads an index as it is on disk.
pub(crate) fn read_index(path: &Path) -> Result<git2::Index, git2::Error> {
    // A pipe would keep us waiting.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return Err(git2::Error::from_str("it is no file"));
    }
    let mut index = git2::Index::open(path)?;
    index.read(true)?;
    Ok(index)
}

/// The first file of an index whose content is not there.
fn missing(repository: &Repository, index: &git2::Index) -> Option<String> {
    let odb = repository.odb().ok()?;
    // git has the empty file without having it.
    let nothing = git2::Oid::hash_object(git2::ObjectType::Blob, b"").ok()?;
    let gone = |entry: &git2::IndexEntry| {
        entry.mode != 0o160_000 && entry.id != nothing && !odb.exists(entry.id)
    };
    let entry = index.iter().find(gone)?;
    Some(String::from_utf8_lossy(&entry.path).into_owned())
}

pub(crate) fn leads_to_clone(site: &Site) -> bool {
    let entry = site.entry();
    let text = entry::read_file(&entry.join("commondir")).ok().flatten().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(&text) else { return false };
    !text.trim().is_empty()
        && entry.join(text.trim()).canonicalize().is_ok_and(|place| place == site.clone)
}
