//! The clones: one bare repository for each repository, brought up to date before a new worktree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{Oid, Repository, RepositoryInitOptions};
use kugetsu_core::{RepoRef, Retry, WorktreeError};

use crate::blocking::blocking;
use crate::checkout::{self, Lender};
use crate::delete::delete;
use crate::fault::{self, Doing, backend};
use crate::git::Git;
use crate::lock::Lock;
use crate::scratch::{FETCH, References, Scratch, make_directory, write_packed};
use crate::settings::Settings;
use crate::site::beside;
use crate::source::Source;
use crate::stale;
use crate::unchanged::Told;

/// What follows the remote: its branches and tags.
const FOLLOWED: [&str; 2] = ["refs/remotes/origin/*", "refs/tags/*"];
pub(crate) const REMOTE: &str = "refs/remotes/origin/";
const REMOTE_HEAD: &str = "refs/remotes/origin/HEAD";

/// Who fetched when, in the order of asking: whoever asked before another's fetch began need not
/// fetch again.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    next: AtomicU64,
    begun: Mutex<HashMap<PathBuf, u64>>,
}

impl Fetches {
    fn turn(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn begun_after(&self, clone: &Path, asked: u64) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.get(clone).is_some_and(|begun| *begun > asked)
    }

    fn succeeded(&self, clone: PathBuf, begun: u64) {
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(clone, begun);
    }
}

/// What a fetch brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is not here yet.
    New,
    /// Everything, as if nothing were here.
    All,
}

/// Brings the clone up to date, or makes it. One process or task at a time does; a crash leaves the
/// clone as it was, or none. A new one is lent what there is of it on this machine.
pub(crate) async fn refresh(
    git: &Git,
    fetches: &Fetches,
    repository: &RepoRef,
    clone: PathBuf,
    (source, lender): (Source, Option<&Lender>),
) -> Result<(), WorktreeError> {
    bring(git, fetches, repository, clone, (source, lender), Extent::New).await
}

/// The same, with the choice of what is fetched.
pub(crate) async fn bring(
    git: &Git,
    fetches: &Fetches,
    repository: &RepoRef,
    clone: PathBuf,
    (source, lender): (Source, Option<&Lender>),
    extent: Extent,
) -> Result<(), WorktreeError> {
    let asked = fetches.turn();
    let lock = lock(clone.clone()).await?;
    if extent == Extent::New && fetches.begun_after(&clone, asked) {
        return Ok(());
    }
    let begun = fetches.turn();
    let one = One { git, repository, source: &source, clone: &clone, lock: &lock };
    if extent == Extent::New
        && let Some(settings) = git.told.known()
        && one.is_same_here(settings, &LEFT).await?
    {
        fetches.succeeded(clone, begun);
        return Ok(());
    }
    let ready = {
        let (lock, clone, source) = (lock.clone(), clone.clone(), source.clone());
        blocking(move || get_ready(&lock, &clone, &source)).await?
    };
    if let Some(lender) = lender.filter(|_| ready.target != clone) {
        // Whatever goes wrong here, the source has it all.
        let _ = lender.lend(git, beside(&clone, "lent"), &ready.scratch, &lock).await;
    }
    let head = if extent == Extent::New && ready.target == clone {
        match one.look(&ready.scratch).await? {
            Seen::Same => {
                fetches.succeeded(clone, begun);
                return Ok(());
            }
            Seen::News { head } => one.fetch(&ready.scratch, extent).await.map(|()| head),
        }
    } else {
        match one.fetch(&ready.scratch, extent).await {
            Ok(()) => one.ask(&ready.scratch, WHICH).await.map(|told| told.head),
            Err(error) => Err(error),
        }
    };
    {
        let (lock, clone) = (lock.clone(), clone.clone());
        blocking(move || {
            let _held = lock;
            let target = ready.target.clone();
            let done = head.and_then(|head| take_over(&clone, &source, &ready, head.as_deref()));
            if done.is_err() && target != clone {
                // It is swept before the next try, if this fails.
                let _ = delete(&target);
            }
            done
        })
        .await?;
    }
    fetches.succeeded(clone, begun);
    Ok(())
}

/// Makes an empty clone, if there is none, to be filled when its source can be had.
pub(crate) async fn make_empty(clone: PathBuf) -> Result<(), WorktreeError> {
    let held = lock(clone.clone()).await?;
    blocking(move || {
        let _held = held;
        if fs::symlink_metadata(&clone).is_ok() {
            return Ok(());
        }
        let new = beside(&clone, "new");
        delete(&new).doing(|| format!("delete {}", new.display()))?;
        initialise(&new)?;
        fs::rename(&new, &clone).doing(|| format!("make {}", clone.display()))
    })
    .await
}

pub(crate) async fn lock(clone: PathBuf) -> Result<Arc<Lock>, WorktreeError> {
    blocking(move || {
        let path = beside(&clone, "lock");
        let doing = || format!("lock {}", path.display());
        make_directory(path.parent().unwrap_or(&path)).doing(doing)?;
        Lock::wait(&path).doing(doing).map(Arc::new)
    })
    .await
}

/// What a fetch that died leaves beside the clone.
const LEFT: [&str; 3] = ["new", "fetch", "lent"];

/// All that a fetch needs.
struct Ready {
    /// The clone, or the new one that is not in its place yet.
    target: PathBuf,
    scratch: Scratch,
    /// What the remote's branches and tags were.
    before: References,
}

fn get_ready(_held: &Lock, clone: &Path, source: &Source) -> Result<Ready, WorktreeError> {
    let (new, scratch) = (beside(clone, "new"), beside(clone, "fetch"));
    for left_over in LEFT.map(|what| beside(clone, what)) {
        delete(&left_over).doing(|| format!("delete {}", left_over.display()))?;
    }
    let target = if fs::symlink_metadata(clone).is_ok() {
        make_directory(&scratch).doing(|| format!("make {}", scratch.display()))?;
        stale::sweep_shared(clone, &scratch);
        clone.to_owned()
    } else {
        initialise(&new)?;
        new
    };
    let repository = open(&target)?;
    let before = followed(&repository).doing(|| format!("read {}", target.display()))?;
    let scratch = Scratch::make(scratch, &target, &before, Some(source))?;
    Ok(Ready { target, scratch, before })
}

/// Opens a clone for reading and for its references; runs nothing that is configured in it.
pub(crate) fn open(clone: &Path) -> Result<Repository, WorktreeError> {
    Repository::open_bare(clone).or_else(|error| {
        if error.code() == git2::ErrorCode::NotFound && fs::symlink_metadata(clone).is_ok() {
            return Err(WorktreeError::InTheWay {
                path: clone.to_owned(),
                why: "it is no bare repository, and a clone belongs there; move it away".into(),
            });
        }
        Err(error).doing(|| format!("open the clone {}", clone.display()))
    })
}

fn initialise(path: &Path) -> Result<(), WorktreeError> {
    let doing = || format!("make {}", path.display());
    make_directory(path).doing(doing)?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).no_reinit(true).initial_head("main");
    Repository::init_opts(path, &options).doing(doing)?;
    Ok(())
}

pub(crate) fn followed(repository: &Repository) -> Result<References, git2::Error> {
    let odb = repository.odb()?;
    let mut all = BTreeMap::new();
    for glob in FOLLOWED {
        for reference in repository.references_glob(glob)? {
            let reference = reference?;
            let (Ok(name), Some(target)) = (reference.name(), reference.target()) else { continue };
            if odb.exists(target) {
                all.insert(name.to_owned(), target);
            }
        }
    }
    Ok(all)
}

const WHICH: &str = "ask for the default branch of";

/// What a look at the source has shown.
enum Seen {
    /// A fetch would bring nothing.
    Same,
    News {
        head: Option<String>,
    },
}

/// One clone and its source, while it is brought up to date.
struct One<'a> {
    git: &'a Git,
    repository: &'a RepoRef,
    source: &'a Source,
    clone: &'a Path,
    lock: &'a Arc<Lock>,
}

impl One<'_> {
    /// Whether the source is a repository on this machine that is as the clone knows it, and none of
    /// what fetches `leave` is beside the clone.
    async fn is_same_here(
        &self,
        settings: Arc<Settings>,
        leave: &'static [&'static str],
    ) -> Result<bool, WorktreeError> {
        let (lock, source) = (self.lock.clone(), self.source.clone());
        let clone = self.clone.to_owned();
        blocking(move || {
            if leave.iter().any(|what| fs::symlink_metadata(beside(&clone, what)).is_ok()) {
                return Ok(false);
            }
            let told = Told::here(&source, &settings);
            told.map_or(Ok(false), |told| is_same(&lock, &clone, &source, &told))
        })
        .await
    }

    /// Asks the source what it has, and compares.
    async fn look(&self, scratch: &Scratch) -> Result<Seen, WorktreeError> {
        if let Some(settings) = self.git.settings(scratch, self.lock).await?
            && self.is_same_here(settings, &[]).await?
        {
            return Ok(Seen::Same);
        }
        let told = self.ask(scratch, "fetch").await?;
        let head = told.head.clone();
        let (lock, source) = (self.lock.clone(), self.source.clone());
        let clone = self.clone.to_owned();
        let same = blocking(move || is_same(&lock, &clone, &source, &told)).await?;
        Ok(if same { Seen::Same } else { Seen::News { head } })
    }

    async fn fetch(&self, scratch: &Scratch, extent: Extent) -> Result<(), WorktreeError> {
        let mut fetch = vec![
            "fetch",
            "--quiet",
            "--prune",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--update-shallow",
        ];
        if extent == Extent::All {
            fetch.push("--refetch");
        }
        fetch.extend(["--end-of-options", "origin"]);
        self.run(scratch, &fetch, "fetch").await.map(drop)
    }

    /// Asks for the default branch, all branches and all tags.
    async fn ask(&self, scratch: &Scratch, doing: &str) -> Result<Told, WorktreeError> {
        let ask = ["ls-remote", "--quiet", "--symref", "--end-of-options", "origin"];
        let ask =
            ask.into_iter().chain(["HEAD", "refs/heads/*", "refs/tags/*"]).collect::<Vec<_>>();
        self.run(scratch, &ask, doing).await.map(|out| Told::listed(&out))
    }

    async fn run(
        &self,
        scratch: &Scratch,
        arguments: &[&str],
        doing: &str,
    ) -> Result<String, WorktreeError> {
        let said = self.git.run(scratch, &scratch.path, &[], arguments, self.lock).await?;
        if said.success {
            return Ok(said.out);
        }
        let told = format!("{doing} {} from {}", self.repository, self.source);
        Err(fault::refused(&self.repository.to_string(), &told, &said.fault))
    }
}

/// Whether the clone is as told, and says where it comes from.
fn is_same(_: &Lock, clone: &Path, source: &Source, told: &Told) -> Result<bool, WorktreeError> {
    let Some(repository) = told.known_in(clone) else { return Ok(false) };
    point_remote(&repository, source).doing(|| format!("update the clone {}", clone.display()))?;
    Ok(true)
}

/// Takes over what was fetched, and puts a new clone into its place.
fn take_over(
    clone: &Path,
    source: &Source,
    ready: &Ready,
    head: Option<&str>,
) -> Result<(), WorktreeError> {
    let Ready { target, scratch, before } = ready;
    let doing = || format!("update the clone {}", clone.display());
    let shallow = scratch.path.join("shallow");
    if fs::symlink_metadata(&shallow).is_ok() {
        fs::rename(&shallow, target.join("shallow")).doing(doing)?;
    }
    let after = fetched(&scratch.path).doing(doing)?;
    if target != clone {
        // Nobody else sees it yet, and one file is faster than thousands.
        write_packed(&target.join("packed-refs"), &after).doing(doing)?;
    }
    let repository = open(target)?;
    follow(&repository, before, &after).doing(doing)?;
    point_head(&repository, head).doing(doing)?;
    point_remote(&repository, source).doing(doing)?;
    if target != clone {
        fs::rename(target, clone).doing(doing)?;
    }
    Ok(())
}

fn fetched(scratch: &Path) -> Result<References, git2::Error> {
    let repository = Repository::open_bare(scratch)?;
    let mut all = BTreeMap::new();
    for reference in repository.references()? {
        let reference = reference?;
        if let (Ok(name), Some(target)) = (reference.name(), reference.target())
            && !checkout::is_lent(name)
        {
            all.insert(name.to_owned(), target);
        }
    }
    Ok(all)
}

/// Moves what follows the remote from `before` to `after`. What somebody else has moved meanwhile,
/// such as an agent that pushed, is newer than what was fetched and stays.
fn follow(
    repository: &Repository,
    before: &References,
    after: &References,
) -> Result<(), git2::Error> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<&String> =
        names.into_iter().filter(|name| before.get(*name) != after.get(*name)).collect();
    let odb = repository.odb()?;
    let at = |name: &str| {
        let now = repository.find_reference(name).ok().and_then(|reference| reference.target());
        now.filter(|target| odb.exists(*target))
    };
    let untouched = |name: &str| at(name) == before.get(name).copied();
    // A branch that is gone may be where a directory of branches belongs now.
    for name in changed.iter().filter(|name| !after.contains_key(**name)) {
        if untouched(name) {
            repository.find_reference(name)?.delete()?;
        }
    }
    for name in changed {
        if let Some(target) = after.get(name)
            && untouched(name)
        {
            repository.reference(name, *target, true, "kugetsu: fetch")?;
        }
    }
    Ok(())
}

fn point_head(repository: &Repository, head: Option<&str>) -> Result<(), git2::Error> {
    match head {
        Some(head) => {
            let target = format!("{REMOTE}{head}");
            repository.reference_symbolic(REMOTE_HEAD, &target, true, "kugetsu: fetch")?;
            // The clone's own HEAD is checked out nowhere; tools take it for the default branch.
            repository.set_head(&format!("refs/heads/{head}"))
        }
        None => match repository.find_reference(REMOTE_HEAD) {
            Ok(mut reference) => reference.delete(),
            Err(_) => Ok(()),
        },
    }
}

/// The addresses that the clone says it comes from.
pub(crate) fn urls(repository: &Repository) -> Vec<String> {
    let read = || {
        let config = repository.config()?.open_level(git2::ConfigLevel::Local)?;
        let mut urls = Vec::new();
        config.multivar("remote.origin.url", None)?.for_each(|entry| {
            urls.extend(entry.value().ok().map(str::to_owned));
        })?;
        Ok::<_, git2::Error>(urls)
    };
    read().unwrap_or_default()
}

/// Says in the clone where it comes from, for the agents' pushes; agents can change it.
pub(crate) fn point_remote(repository: &Repository, source: &Source) -> Result<(), git2::Error> {
    let mut config = repository.config()?.open_level(git2::ConfigLevel::Local)?;
    for (name, value) in [("remote.origin.url", source.as_str()), ("remote.origin.fetch", FETCH)] {
        if config.get_string(name).ok().as_deref() != Some(value) {
            config.remove_multivar(name, ".*").or_else(ignore_missing)?;
            config.set_str(name, value)?;
        }
    }
    Ok(())
}

fn ignore_missing(error: git2::Error) -> Result<(), git2::Error> {
    if error.code() == git2::ErrorCode::NotFound { Ok(()) } else { Err(error) }
}

/// The name of the remote's default branch, as it was when last fetched.
pub(crate) fn default_branch(repository: &Repository) -> Option<String> {
    let reference = repository.find_reference(REMOTE_HEAD).ok()?;
    let target = reference.symbolic_target().ok()??;
    target.strip_prefix(REMOTE).map(str::to_owned)
}

/// Whether the clone has any branch of the remote.
pub(crate) fn has_branches(repository: &Repository) -> Result<bool, WorktreeError> {
    let doing = || format!("read {}", repository.path().display());
    let mut all = repository.references_glob(FOLLOWED[0]).doing(doing)?;
    Ok(all.any(|reference| reference.is_ok_and(|reference| reference.target().is_some())))
}

/// The commit that a reference is at; `None` if there is no such reference.
pub(crate) fn commit_at(repository: &Repository, name: &str) -> Result<Option<Oid>, WorktreeError> {
    match repository.find_reference(name) {
        Ok(reference) => match reference.peel_to_commit() {
            Ok(commit) => Ok(Some(commit.id())),
            Err(error) => Err(backend(format!("read {name}"), Retry::Never, error)),
        },
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) if error.code() == git2::ErrorCode::InvalidSpec => Ok(None),
        Err(error) => Err(error).doing(|| format!("read {name}")),
    }
}
