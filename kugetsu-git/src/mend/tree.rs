//! Mending one worktree. Whoever calls has its lock.

use std::fs;
use std::path::Path;

use git2::{Oid, Repository};
use kugetsu_core::{Retry, WorktreeError};

use crate::adopt::adopt;
use crate::clone::{self, REMOTE};
use crate::delete::delete;
use crate::entry::{self, Record};
use crate::examine::{
    BranchState, Head, at, branch_state, candidate, examine_site, leads_to_clone, lost,
};
use crate::fault::{Doing, backend};
use crate::finding::{Fault, Finding, Mended};
use crate::last;
use crate::lock::Lock;
use crate::prepare::sweep;
use crate::rescue::{Rescue, move_aside};
use crate::scratch::make_directory;
use crate::site::Site;
use crate::stale;
use crate::standing::in_the_way;

pub(super) fn mend(held: &Lock, site: &Site, finding: &Finding) -> Result<Mended, WorktreeError> {
    let now = examine_site(site, finding.fault != Fault::RecordDangling)?;
    let same = |now: &&Finding| now.fault == finding.fault && now.path == finding.path;
    let Some(now) = now.iter().find(same) else { return Ok(Mended::default()) };
    if !now.is_mendable() {
        return Err(in_the_way(&now.path, &now.found));
    }
    let mut mend = Mend { held, site, rescued: Vec::new() };
    let done = match finding.fault {
        Fault::DirectoryGone | Fault::RecordDangling => mend.forget_record(),
        Fault::Moved => mend.move_back(&finding.path),
        Fault::InTheWay | Fault::Stray => mend.clear_the_way(),
        Fault::LinkWrong => mend.link(),
        Fault::LinkReplaced => mend.replace_link(),
        Fault::RecordGone => mend.take_up(),
        Fault::RecordDamaged => mend.record(),
        Fault::HeadBroken => mend.head(),
        Fault::HeadDetached => mend.keep_head(),
        Fault::BranchGone => mend.make_branch(),
        Fault::BranchBroken => mend.set_branch(),
        Fault::BranchElsewhere => mend.detach(&finding.path),
        Fault::IndexBroken => mend.index(),
        Fault::StaleLock => {
            stale::sweep(site);
            Ok(format!("{} is deleted", finding.path.display()))
        }
        Fault::NotNoted => last::note(held, site).map(|()| "it is noted".to_owned()),
        _ => return Err(super::by_hand(finding)),
    }?;
    Ok(Mended::new(done).with_rescued(mend.rescued))
}

struct Mend<'a> {
    held: &'a Lock,
    site: &'a Site,
    rescued: Vec<String>,
}

impl Mend<'_> {
    fn open(&self) -> Result<Repository, WorktreeError> {
        clone::open(&self.site.clone)
    }

    fn doing(&self) -> String {
        format!("mend the worktree of {}", self.site.issue)
    }

    /// Saves what the worktree and its record hold and nothing else does.
    fn rescue(&mut self, head: Option<Oid>) -> Result<(), WorktreeError> {
        let (site, entry) = (self.site, self.site.entry());
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let rescue = Rescue {
            clone: &site.clone,
            stem: &site.stem,
            head,
            tree: Some(site.tree.as_path()).filter(|tree| is_there(tree)),
            entry: Some(entry.as_path()).filter(|entry| is_there(entry)),
        };
        self.rescued.extend(rescue.save()?);
        Ok(())
    }

    fn aside(&mut self, what: &Path) -> Result<(), WorktreeError> {
        let to = move_aside(what, &self.site.aside())
            .doing(|| format!("move {} aside", what.display()))?;
        self.rescued.push(to.display().to_string());
        Ok(())
    }

    /// The commit that the issue's branch is at, made again or set right if it has to be.
    fn branch(&mut self, repository: &Repository) -> Result<Oid, WorktreeError> {
        self.branch_named(repository, &self.site.branch())
    }

    fn branch_named(&mut self, repository: &Repository, name: &str) -> Result<Oid, WorktreeError> {
        let doing = || format!("set the branch {name}");
        let state = branch_state(repository, name);
        if let BranchState::At(commit) = state {
            return Ok(commit);
        }
        let Some(commit) = candidate(repository, self.site, name) else {
            return Err(in_the_way(&self.site.tree, "where its branch was is not known"));
        };
        let is_lost = lost(repository, self.site).is_some();
        let loose = self.site.clone.join(name);
        if let BranchState::Broken(_) = state
            && fs::symlink_metadata(&loose).is_ok_and(|found| found.is_file())
        {
            self.aside(&loose)?;
        }
        repository.reference(name, commit, true, "kugetsu: mended").doing(doing)?;
        if is_lost {
            // It says which commit was lost, which somebody may look for.
            self.aside(&self.site.last())?;
        }
        Ok(commit)
    }

    fn forget_record(&mut self) -> Result<String, WorktreeError> {
        let (site, entry) = (self.site, self.site.entry());
        let repository = self.open()?;
        self.rescue(entry::head(&repository, &entry))?;
        match last::restore(&repository, site) {
            Ok(()) => delete(&entry).doing(|| format!("delete {}", entry.display()))?,
            // It may name commits that the clone has lost, which somebody may look for.
            Err(_) => self.aside(&entry)?,
        }
        Ok(format!(
            "the record is removed; the next start makes the worktree again from {}",
            site.issue.branch()
        ))
    }

    fn move_back(&mut self, place: &Path) -> Result<String, WorktreeError> {
        let site = self.site;
        fs::rename(place, &site.tree)
            .doing(|| format!("move {} to {}", place.display(), site.tree.display()))?;
        entry::mend(site)?;
        entry::write_link(site, &site.tree).doing(|| self.doing())?;
        Ok(format!("it is back at {}", site.tree.display()))
    }

    fn clear_the_way(&mut self) -> Result<String, WorktreeError> {
        self.aside(&self.site.tree.clone())?;
        Ok(format!("{} is free", self.site.tree.display()))
    }

    fn link(&mut self) -> Result<String, WorktreeError> {
        entry::write_link(self.site, &self.site.tree).doing(|| self.doing())?;
        Ok("the link is written again".into())
    }

    fn replace_link(&mut self) -> Result<String, WorktreeError> {
        let repository = self.open()?;
        self.rescue(entry::head(&repository, &self.site.entry()))?;
        self.aside(&self.site.tree.join(".git"))?;
        entry::mend(self.site)?;
        self.link()
    }

    fn take_up(&mut self) -> Result<String, WorktreeError> {
        let site = self.site;
        sweep(site)?;
        let repository = self.open()?;
        let commit = self.branch(&repository)?;
        self.rescue(Some(commit))?;
        let new_entry = site.new_entry();
        make_directory(&new_entry).doing(|| self.doing())?;
        let base = clone::default_branch(&repository);
        let from = base.as_ref().and_then(|base| at(&repository, &format!("{REMOTE}{base}")));
        let record = Record::new(site.issue.clone(), base.filter(|_| from.is_some()), from);
        entry::write(site, &new_entry, &record).doing(|| self.doing())?;
        adopt(site, commit)?;
        entry::write_link(site, &site.tree).doing(|| self.doing())?;
        last::note(self.held, site)?;
        Ok(format!("it has a record again, on {}", site.issue.branch()))
    }

    fn record(&mut self) -> Result<String, WorktreeError> {
        let (site, entry) = (self.site, self.site.entry());
        let repository = self.open()?;
        let is_gone = |name: &str| fs::symlink_metadata(entry.join(name)).is_err();
        let head = entry::head(&repository, &entry);
        if is_gone("HEAD") || is_gone("index") {
            self.rescue(head.or_else(|| at(&repository, &site.branch())))?;
        }
        if Record::read(&entry).is_some_and(|record| record.issue != site.issue) {
            let record = entry.join("kugetsu.json");
            fs::remove_file(&record).doing(|| format!("delete {}", record.display()))?;
        }
        if !leads_to_clone(site) {
            entry::put(&entry.join("commondir"), b"../..\n").doing(|| self.doing())?;
        }
        entry::mend(site)?;
        Ok("the record is whole again".into())
    }

    fn head(&mut self) -> Result<String, WorktreeError> {
        let site = self.site;
        let repository = self.open()?;
        let commit = self.branch(&repository)?;
        self.rescue(Some(commit))?;
        self.aside(&site.entry().join("HEAD"))?;
        entry::mend(site)?;
        last::note(self.held, site)?;
        Ok(format!("it is on {} again", site.issue.branch()))
    }

    fn keep_head(&mut self) -> Result<String, WorktreeError> {
        let repository = self.open()?;
        let Some(Head::At(commit)) = Head::read(self.site) else { return Ok(String::new()) };
        last::keep(&repository, self.site, commit).doing(|| format!("keep {commit}"))?;
        let name = format!("refs/kugetsu/rescue/{}/{commit}", self.site.stem);
        self.rescued.push(name);
        Ok(format!("{commit} has a reference of its own"))
    }

    fn make_branch(&mut self) -> Result<String, WorktreeError> {
        let name = entry::on(&self.site.entry()).unwrap_or_else(|| self.site.branch());
        let repository = self.open()?;
        if last::restore(&repository, self.site).is_err() {
            let commit = self.branch_named(&repository, &name)?;
            self.rescue(Some(commit))?;
        }
        last::note(self.held, self.site)?;
        Ok(format!("{name} is there again"))
    }

    fn set_branch(&mut self) -> Result<String, WorktreeError> {
        let name = entry::on(&self.site.entry()).unwrap_or_else(|| self.site.branch());
        let repository = self.open()?;
        let commit = self.branch_named(&repository, &name)?;
        self.rescue(Some(commit))?;
        last::note(self.held, self.site)?;
        Ok(format!("{name} is at {commit} again"))
    }

    /// Leaves another worktree at its commit, without its branch.
    fn detach(&mut self, other: &Path) -> Result<String, WorktreeError> {
        let repository = self.open()?;
        let Some(commit) = at(&repository, &self.site.branch()) else {
            return Err(in_the_way(other, "the branch leads nowhere"));
        };
        let place = entry::place(other).doing(|| self.doing())?.unwrap_or_default();
        if stale::is_in_use(&[&place, other]) {
            let why = format!("somebody works in {}", place.display());
            return Err(backend(self.doing(), Retry::Later, why));
        }
        entry::put(&other.join("HEAD"), format!("{commit}\n").as_bytes()).doing(|| self.doing())?;
        Ok(format!("{} is on no branch any more, and still at {commit}", place.display()))
    }

    fn index(&mut self) -> Result<String, WorktreeError> {
        let (site, entry) = (self.site, self.site.entry());
        let repository = self.open()?;
        self.rescue(entry::head(&repository, &entry))?;
        self.aside(&entry.join("index"))?;
        entry::mend(site)?;
        Ok("the index is made again from the commit".into())
    }
}
