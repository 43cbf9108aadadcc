//! A checkout of the operator's own: what it is of, and objects that need not be fetched again.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{ConfigLevel, Oid, Repository};
use kugetsu_core::WorktreeError;

use crate::fault::Doing;
use crate::git::Git;
use crate::lock::Lock;
use crate::scratch::{References, Scratch};

/// Where lent objects are referred to, while they are taken over.
const LENT: &str = "refs/lent/";

/// A checkout of the operator's own.
///
/// It is only read. No program that is configured in it is run, none of its branches is taken over,
/// and nothing depends on it later: what a new clone gets of it are objects, each under the name that
/// its content has.
#[derive(Clone)]
pub struct Checkout {
    /// The git directory that all its worktrees share.
    shared: PathBuf,
    remotes: Vec<(String, String)>,
}

impl Checkout {
    /// The checkout that `directory` is in. `None` if it is in none, or in one of another user's.
    pub fn find(directory: &Path) -> Option<Self> {
        let repository = Repository::discover(directory).ok()?;
        let mut remotes = remotes(&repository).ok()?;
        // The one that it was cloned from comes first.
        remotes.sort_by_key(|(name, _)| name != "origin");
        Some(Self { shared: repository.commondir().canonicalize().ok()?, remotes })
    }

    /// The names of its remotes and where they are, `origin` first. An address may have a password
    /// in it.
    pub fn remotes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.remotes.iter().map(|(name, url)| (name.as_str(), url.as_str()))
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Addresses may hold passwords.
        f.debug_struct("Checkout").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// As they stand in the file; the user's own settings may rewrite them.
fn remotes(repository: &Repository) -> Result<Vec<(String, String)>, git2::Error> {
    let config = repository.config()?.open_level(ConfigLevel::Local)?;
    let mut remotes: Vec<(String, String)> = Vec::new();
    let mut entries = config.entries(Some(r"^remote\..*\.url$"))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let (Ok(name), Ok(url)) = (entry.name(), entry.value()) else { continue };
        let name = name.strip_prefix("remote.").and_then(|name| name.strip_suffix(".url"));
        if let Some(name) = name
            && !remotes.iter().any(|(other, _)| other == name)
        {
            remotes.push((name.to_owned(), url.to_owned()));
        }
    }
    Ok(remotes)
}

/// Part of a checkout: what it knows of one remote.
#[derive(Debug, Clone)]
pub(crate) struct Lender {
    pub(crate) checkout: Checkout,
    pub(crate) remote: String,
}

impl Lender {
    /// Fetches what the checkout has of its remote into a new clone, through a git directory of our
    /// own that borrows the checkout's objects. What cannot be had is fetched from the remote.
    pub(crate) async fn lend(
        &self,
        git: &Git,
        between: PathBuf,
        scratch: &Scratch,
        lock: &Lock,
    ) -> Result<(), WorktreeError> {
        let Some(lent) = self.between(between)? else { return Ok(()) };
        let (path, all) = (lent.path.as_os_str(), format!("+{LENT}*:{LENT}*"));
        let mut arguments = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"]
            .map(std::ffi::OsStr::new)
            .to_vec();
        arguments.extend(["--no-write-fetch-head", "--end-of-options"].map(std::ffi::OsStr::new));
        arguments.extend([path, std::ffi::OsStr::new(&all)]);
        git.run(scratch, &scratch.path, &[], &arguments, lock).await.map(drop)
    }

    /// The git directory of our own, if there is anything to be had.
    fn between(&self, place: PathBuf) -> Result<Option<Scratch>, WorktreeError> {
        let shared = &self.checkout.shared;
        // Where history is cut off is no business of the clone's.
        if fs::symlink_metadata(shared.join("shallow")).is_ok() {
            return Ok(None);
        }
        let doing = || format!("read {}", shared.display());
        let references: References = known(shared, &self.remote)
            .doing(doing)?
            .into_iter()
            .enumerate()
            .map(|(index, target)| (format!("{LENT}{index}"), target))
            .collect();
        if references.is_empty() {
            return Ok(None);
        }
        let between = Scratch::make(place, shared, &references, None)?;
        borrow(&between).doing(doing)?;
        Ok(Some(between))
    }
}

/// What the checkout knows of the remote's branches, and its tags.
fn known(shared: &Path, remote: &str) -> Result<BTreeSet<Oid>, git2::Error> {
    let repository = Repository::open(shared)?;
    let odb = repository.odb()?;
    let of_remote = format!("refs/remotes/{remote}/");
    let mut all = BTreeSet::new();
    for reference in repository.references()? {
        let Ok(reference) = reference else { continue };
        let (Ok(name), Some(target)) = (reference.name(), reference.target()) else { continue };
        let is_wanted = name.starts_with(&of_remote) || name.starts_with("refs/tags/");
        if is_wanted && odb.exists(target) {
            all.insert(target);
        }
    }
    Ok(all)
}

/// Has a program that serves the git directory find its objects.
fn borrow(between: &Scratch) -> io::Result<()> {
    let objects = between.objects.to_str().filter(|path| !path.contains('\n'));
    let objects = objects.ok_or_else(|| io::Error::other("its path cannot be written down"))?;
    let info = between.path.join("objects/info");
    fs::create_dir_all(&info)?;
    fs::write(info.join("alternates"), format!("{objects}\n"))
}

/// Whether a reference is only there to take over what was lent.
pub(crate) fn is_lent(name: &str) -> bool {
    name.starts_with(LENT)
}
