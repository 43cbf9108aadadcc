//! Making a worktree, or finding the one that is there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{Oid, Repository};
use kugetsu_core::{Retry, Worktree, WorktreeError, WorktreeSpec};

use crate::adopt::adopt;
use crate::blocking::blocking;
use crate::clone::{self, REMOTE};
use crate::delete::delete;
use crate::entry::{self, Record};
use crate::fault::{Doing, backend};
use crate::files::{self, Laid};
use crate::git::Git;
use crate::last;
use crate::lock::Lock;
use crate::provider::GitWorktrees;
use crate::scratch::{References, Scratch, make_directory};
use crate::settings::Settings;
use crate::site::Site;
use crate::stale;
use crate::standing::{Standing, in_the_way, standing};

pub(crate) async fn prepare(
    worktrees: &GitWorktrees,
    spec: &WorktreeSpec,
) -> Result<Worktree, WorktreeError> {
    let (site, lock) = {
        let (roots, issue) = (worktrees.roots.clone(), spec.issue.clone());
        blocking(move || {
            let site = Site::new(&roots.make()?, &issue);
            let lock = lock(&site)?;
            Ok((Arc::new(site), Arc::new(lock)))
        })
        .await?
    };
    let found = {
        let (site, lock) = (site.clone(), lock.clone());
        blocking(move || find(&lock, &site)).await?
    };
    if let Some(worktree) = found {
        return Ok(worktree);
    }
    worktrees.sweeper.start_once(site.root());
    let repository = spec.issue.repository();
    let refreshed = match worktrees.sources.source(repository) {
        Ok(source) => {
            let clone = site.clone.clone();
            let lender = worktrees.lenders.get(repository);
            let from = (source, lender);
            clone::refresh(&worktrees.git, &worktrees.fetches, repository, clone, from).await
        }
        Err(error) => Err(WorktreeError::NoRepository {
            repository: repository.to_string(),
            why: error.to_string(),
        }),
    };
    let plan = {
        let (site, lock, base) = (site.clone(), lock.clone(), spec.base.clone());
        blocking(move || plan(&lock, &site, base, refreshed)).await?
    };
    if plan.checkout {
        check_out(&worktrees.git, &site, &lock, plan.commit).await?;
    }
    blocking(move || finish(&lock, &site, &plan)).await
}

/// Writes the worktree's files and its index.
async fn check_out(
    git: &Git,
    site: &Arc<Site>,
    lock: &Arc<Lock>,
    commit: Oid,
) -> Result<(), WorktreeError> {
    let scratch = {
        let (site, lock) = (site.clone(), lock.clone());
        move || {
            let _held = lock;
            Scratch::make(site.scratch(), &site.clone, &References::new(), None)
        }
    };
    let mut made = None;
    let mut settings = git.told.known();
    if settings.is_none() {
        let scratch = made.insert(blocking(scratch.clone()).await?);
        settings = git.settings(scratch, lock).await?;
    }
    if let Some(settings) = settings {
        let stop = Stop::default();
        let (site, lock, stopped) = (site.clone(), lock.clone(), stop.0.clone());
        if blocking(move || lay_out(&lock, &site, commit, &settings, &stopped)).await? {
            return Ok(());
        }
    }
    let scratch = match made {
        Some(scratch) => scratch,
        None => blocking(scratch).await?,
    };
    let index = site.new_entry().join("index");
    let (commit, tree) = (commit.to_string(), site.new_tree());
    let places = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", tree.as_path())];
    let arguments = ["read-tree", "--reset", "-u", &commit];
    let said = git.run(&scratch, &tree, &places, &arguments, lock).await?;
    if said.success {
        return Ok(());
    }
    let operation = format!("check out {commit} for {}", site.issue);
    Err(backend(operation, Retry::Later, said.fault))
}

/// Stops a thread when whoever waits for it is gone.
#[derive(Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes the files without git, if that comes to the same. If not, nothing is there.
fn lay_out(
    _held: &Lock,
    site: &Site,
    commit: Oid,
    settings: &Settings,
    stop: &AtomicBool,
) -> Result<bool, WorktreeError> {
    let doing = || format!("check out {commit} for {}", site.issue);
    let objects = site.clone.join("objects");
    let (tree, index) = (site.new_tree(), site.new_entry().join("index"));
    let laid = files::lay_out(&objects, commit, (&tree, &index), settings, stop)?;
    if laid == Laid::Out {
        return Ok(true);
    }
    delete(&tree).and_then(|()| make_directory(&tree)).doing(doing)?;
    delete(&index).doing(doing)?;
    Ok(false)
}

/// Waits until nobody else makes or removes the worktree.
pub(crate) fn lock(site: &Site) -> Result<Lock, WorktreeError> {
    let path = site.lock();
    Lock::wait(&path).doing(|| format!("lock {}", path.display()))
}

/// The worktree that is there, with its administration complete.
fn find(held: &Lock, site: &Site) -> Result<Option<Worktree>, WorktreeError> {
    sweep(site)?;
    stale::sweep(site);
    match standing(site)? {
        Standing::Worktree => {
            last::restore(&clone::open(&site.clone)?, site)?;
            entry::mend(site)?;
            entry::write_link(site, &site.tree)
                .doing(|| format!("write {}", site.tree.join(".git").display()))?;
            last::note(held, site)?;
            Ok(Some(worktree(site)))
        }
        Standing::Replaced(why) => Err(in_the_way(&site.tree, &why)),
        Standing::Foreign(path, why) => Err(in_the_way(&path, &why)),
        Standing::Nothing | Standing::Entry | Standing::Tree => Ok(None),
    }
}

/// Deletes what an earlier making or removing has left behind.
pub(crate) fn sweep(site: &Site) -> Result<(), WorktreeError> {
    for left_over in [site.new_tree(), site.old_tree(), site.new_entry(), site.scratch()] {
        delete(&left_over).doing(|| format!("delete {}", left_over.display()))?;
    }
    Ok(())
}

/// The worktree as it is on disk.
pub(crate) fn worktree(site: &Site) -> Worktree {
    let branch = entry::branch(&site.entry()).unwrap_or_else(|| site.issue.branch());
    Worktree::new(site.issue.clone(), &site.tree, branch, &site.clone)
}

/// What is to be made.
struct Plan {
    /// The commit that the branch is at.
    commit: Oid,
    /// Whether its files are still to be written.
    checkout: bool,
}

fn plan(
    _held: &Lock,
    site: &Site,
    base: Option<String>,
    refreshed: Result<(), WorktreeError>,
) -> Result<Plan, WorktreeError> {
    let branch = site.branch();
    let opened = clone::open(&site.clone);
    let restored = opened.as_ref().map_or(Ok(()), |repository| last::restore(repository, site));
    let repository = match (refreshed, opened) {
        (Ok(()), repository) => {
            let repository = repository?;
            restored?;
            repository
        }
        // Without the remote there is still the branch, with all that was done on it.
        (Err(_), Ok(repository)) if clone::commit_at(&repository, &branch)?.is_some() => repository,
        (Err(error), _) => return Err(error),
    };
    not_elsewhere(site)?;
    let known = Record::read(&site.entry());
    let start = Start::find(&repository, site, base, known)?;
    let commit = match clone::commit_at(&repository, &branch)? {
        Some(commit) => commit,
        None => start.branch_from(&repository, site)?,
    };
    let doing = || format!("make the worktree of {}", site.issue);
    rescue(&repository, site).doing(doing)?;
    let standing = standing(site)?;
    let new_entry = site.new_entry();
    make_directory(&new_entry).doing(doing)?;
    entry::write(site, &new_entry, &start.record).doing(doing)?;
    if standing == Standing::Tree {
        return Ok(Plan { commit, checkout: false });
    }
    make_directory(&site.new_tree()).doing(doing)?;
    Ok(Plan { commit, checkout: true })
}

/// Where the work starts from.
struct Start {
    record: Record,
    commit: Option<Oid>,
    /// The branch that was looked for.
    wanted: String,
}

impl Start {
    fn find(
        repository: &Repository,
        site: &Site,
        base: Option<String>,
        known: Option<Record>,
    ) -> Result<Self, WorktreeError> {
        if let Some(record) =
            known.filter(|known| known.issue == site.issue && known.base.is_some())
            && clone::commit_at(repository, &site.branch())?.is_some()
        {
            return Ok(Self { record, commit: None, wanted: String::new() });
        }
        let base = base.or_else(|| clone::default_branch(repository));
        let commit = match &base {
            Some(base) => clone::commit_at(repository, &format!("{REMOTE}{base}"))?,
            None => None,
        };
        let wanted = base.clone().unwrap_or_else(|| "HEAD".into());
        let base = base.filter(|_| commit.is_some());
        Ok(Self { record: Record::new(site.issue.clone(), base, commit), commit, wanted })
    }

    /// Makes the branch: from the remote's branch of the same name, so that its commits are gone on
    /// with rather than pushed over; else from the base.
    fn branch_from(&self, repository: &Repository, site: &Site) -> Result<Oid, WorktreeError> {
        let there = clone::commit_at(repository, &format!("{REMOTE}{}", site.issue.branch()))?;
        let Some(commit) = there.or(self.commit) else {
            let name = site.issue.repository().to_string();
            if !clone::has_branches(repository)? {
                return Err(WorktreeError::NoRepository {
                    repository: name,
                    why: "it has no commits to start from; push a first one".into(),
                });
            }
            return Err(WorktreeError::NoBaseBranch {
                repository: name,
                branch: self.wanted.clone(),
            });
        };
        repository
            .reference(&site.branch(), commit, false, "kugetsu: start the issue")
            .doing(|| format!("make the branch {}", site.issue.branch()))?;
        Ok(commit)
    }
}

/// Fails if the issue's branch is checked out in another worktree: two would move one branch.
fn not_elsewhere(site: &Site) -> Result<(), WorktreeError> {
    let Ok(entries) = fs::read_dir(site.clone.join("worktrees")) else { return Ok(()) };
    for other in entries.flatten().map(|entry| entry.path()) {
        if other == site.entry() || entry::branch(&other) != Some(site.issue.branch()) {
            continue;
        }
        if let Ok(Some(place)) = entry::place(&other)
            && fs::symlink_metadata(&place).is_ok()
        {
            let why = format!(
                "the branch {} of {} is checked out there; check out another branch in it",
                site.issue.branch(),
                site.issue
            );
            return Err(WorktreeError::InTheWay { path: place, why });
        }
    }
    Ok(())
}

/// Keeps the commit that a lost worktree was at, if no branch has it.
fn rescue(repository: &Repository, site: &Site) -> Result<(), git2::Error> {
    let entry = site.entry();
    if entry::branch(&entry).as_deref() != Some("HEAD") {
        return Ok(());
    }
    let Some(commit) = entry::head(repository, &entry) else { return Ok(()) };
    if repository.find_commit(commit).is_err() {
        return Ok(());
    }
    last::keep(repository, site, commit)
}

/// Puts what was made into its place: first the administration, which git is told to leave alone,
/// then the files.
fn finish(held: &Lock, site: &Site, plan: &Plan) -> Result<Worktree, WorktreeError> {
    let (entry, new_tree) = (site.entry(), site.new_tree());
    if !plan.checkout {
        adopt(site, plan.commit)?;
        last::note(held, site)?;
        return Ok(worktree(site));
    }
    let doing = || format!("put the worktree of {} into its place", site.issue);
    entry::write_first_link(site, &new_tree).doing(doing)?;
    entry::lock(&site.new_entry()).doing(doing)?;
    place_entry(site).doing(doing)?;
    if let Err(error) = fs::rename(&new_tree, &site.tree) {
        return Err(match delete(&entry) {
            Ok(()) if is_there(&site.tree) => in_the_way(&site.tree, &error.to_string()),
            _ => backend(doing(), Retry::Later, error),
        });
    }
    entry::unlock(&entry).doing(doing)?;
    last::note_first(held, site, plan.commit)?;
    Ok(worktree(site).with_created(true))
}

/// Moves the new administration to where git looks for it; an old one is of a worktree whose
/// directory is gone.
pub(crate) fn place_entry(site: &Site) -> std::io::Result<()> {
    let entry = site.entry();
    if let Some(all) = entry.parent() {
        make_directory(all)?;
    }
    delete(&entry)?;
    fs::rename(site.new_entry(), &entry)
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
