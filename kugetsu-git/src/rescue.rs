//! Saving work before something is mended: as a commit of our own in the clone, under
//! `refs/kugetsu/rescue/<issue>/`.
//!
//! The commit's files are the worktree's, byte for byte: whatever is changed, and whatever is new and
//! not ignored. Its parents are the commit that the worktree was at, what was staged, and commits
//! that only the worktree's record led to. All of it is written by libgit2, with no configuration
//! but its own, so that no hook and no filter runs.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use git2::{
    Commit, Config, Delta, DiffOptions, Index, IndexEntry, IndexTime, ObjectType, Odb, Oid,
    Repository, Signature, Sort, Tree,
};
use kugetsu_core::WorktreeError;

use crate::entry;
use crate::examine::read_index;
use crate::fault::Doing;
use crate::scratch::make_directory;

/// What is to be saved.
pub(crate) struct Rescue<'a> {
    /// Where it is saved: the clone.
    pub(crate) clone: &'a Path,
    /// Under which name: the issue's.
    pub(crate) stem: &'a str,
    /// The commit that the worktree is at, if it is there.
    pub(crate) head: Option<Oid>,
    /// The worktree's files, if they are there.
    pub(crate) tree: Option<&'a Path>,
    /// The worktree's record, if it is there.
    pub(crate) entry: Option<&'a Path>,
}

impl Rescue<'_> {
    /// Saves what exists nowhere else, and gives the reference that leads to it; `None` if there is
    /// nothing to be saved. Saving the same twice is saving it once.
    pub(crate) fn save(&self) -> Result<Option<String>, WorktreeError> {
        let doing = || format!("save the work of {} in {}", self.stem, self.clone.display());
        let repository = Repository::open_bare(self.clone).doing(doing)?;
        self.save_to(&repository).doing(doing)
    }

    fn save_to(&self, repository: &Repository) -> Result<Option<String>, git2::Error> {
        let head = self.head.and_then(|id| repository.find_commit(id).ok());
        let base = head.as_ref().map(Commit::tree).transpose()?;
        let nothing = repository.treebuilder(None)?.write()?;
        let before = base.as_ref().map_or(nothing, Tree::id);
        let work = match self.tree {
            Some(tree) => self.work(repository, tree, base.as_ref())?,
            None => before,
        };
        let staged = self.staged(repository).filter(|staged| *staged != before && *staged != work);
        let mut parents = self.tips(repository)?;
        if work == before && staged.is_none() && parents.is_empty() {
            return Ok(None);
        }
        parents.retain(|tip| Some(*tip) != self.head);
        let at: Vec<Oid> = head.iter().map(Commit::id).collect();
        if let Some(staged) = staged {
            parents.insert(0, commit(repository, head.as_ref(), staged, &at, "what was staged")?);
        }
        parents.splice(0..0, at);
        let saved = commit(repository, head.as_ref(), work, &parents, "work before a mend")?;
        self.refer(repository, saved).map(Some)
    }

    fn refer(&self, repository: &Repository, commit: Oid) -> Result<String, git2::Error> {
        let name = format!("refs/kugetsu/rescue/{}/{commit}", self.stem);
        let name = if git2::Reference::is_valid_name(&name) {
            name
        } else {
            format!("refs/kugetsu/rescue/nameless/{commit}")
        };
        repository.reference(&name, commit, true, "kugetsu: saved before it is mended")?;
        Ok(name)
    }

    /// The files of the worktree as they are, written as a tree.
    fn work(
        &self,
        repository: &Repository,
        place: &Path,
        base: Option<&Tree<'_>>,
    ) -> Result<Oid, git2::Error> {
        let mut index = Index::new()?;
        if let Some(base) = base {
            index.read_tree(base)?;
        }
        let odb = repository.odb()?;
        for (path, is_there) in self.changed(place, base)? {
            // A file that takes a directory's place, or the other way round, comes after what it
            // replaces is gone.
            if is_there {
                put(&odb, &mut index, place, &path)?;
            } else {
                let _ = index.remove_path(&path);
            }
        }
        index.write_tree_to(repository)
    }

    /// What differs from the commit: first what is gone, then what is there.
    fn changed(
        &self,
        place: &Path,
        base: Option<&Tree<'_>>,
    ) -> Result<Vec<(PathBuf, bool)>, git2::Error> {
        let repository = Repository::open_bare(self.clone)?;
        // Not the clone's configuration: it could say that changes are none.
        repository.set_config(&Config::new()?)?;
        repository.set_workdir(place, false)?;
        let base = base.map(|base| repository.find_tree(base.id())).transpose()?;
        let mut options = DiffOptions::new();
        options
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .include_ignored(false)
            .include_typechange(true)
            .ignore_submodules(true);
        let diff = repository.diff_tree_to_workdir(base.as_ref(), Some(&mut options))?;
        let mut changed = Vec::new();
        for delta in diff.deltas() {
            let is_there = !matches!(delta.status(), Delta::Deleted);
            let file = if is_there { delta.new_file() } else { delta.old_file() };
            if let Some(path) = file.path() {
                changed.push((path.to_owned(), is_there));
            }
        }
        changed.sort_by_key(|(path, is_there)| (*is_there, path.clone()));
        Ok(changed)
    }

    /// What the record's index holds, written as a tree; `None` if it cannot be read. Of a conflict,
    /// both sides are on commits of their own.
    fn staged(&self, repository: &Repository) -> Option<Oid> {
        let index = read_index(&self.entry?.join("index")).ok()?;
        let mut plain = Index::new().ok()?;
        for entry in index.iter().filter(|entry| entry.flags & STAGE == 0) {
            plain.add(&entry).ok()?;
        }
        plain.write_tree_to(repository).ok()
    }

    /// The commits that only the record leads to: where it was, and what it is in the middle of.
    fn tips(&self, repository: &Repository) -> Result<Vec<Oid>, git2::Error> {
        let Some(entry) = self.entry else { return Ok(Vec::new()) };
        let mut named = BTreeSet::new();
        let mut read = |path: &Path| {
            let text = entry::read_end(path).ok().flatten().unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            named.extend(text.split_whitespace().filter(|word| word.len() == 40).filter_map(id));
        };
        for name in [
            "HEAD",
            "ORIG_HEAD",
            "MERGE_HEAD",
            "CHERRY_PICK_HEAD",
            "REVERT_HEAD",
            "rebase-merge/orig-head",
            "rebase-merge/onto",
            "rebase-merge/stopped-sha",
            "rebase-apply/orig-head",
            "rebase-apply/abort-safety",
            "logs/HEAD",
        ] {
            read(&entry.join(name));
        }
        let mut directories = vec![entry.join("refs")];
        while let Some(directory) = directories.pop() {
            for inside in fs::read_dir(directory).into_iter().flatten().flatten() {
                match inside.file_type() {
                    Ok(kind) if kind.is_dir() => directories.push(inside.path()),
                    _ => read(&inside.path()),
                }
            }
        }
        named.extend(self.head);
        unkept(repository, &named)
    }
}

/// Where an index entry's flags say which side of a conflict it is.
const STAGE: u16 = 0x3000;

fn id(text: &str) -> Option<Oid> {
    Oid::from_str(text).ok().filter(|id| !id.is_zero())
}

/// Of the commits, those that no reference leads to, without those that another of them leads to.
fn unkept(repository: &Repository, named: &BTreeSet<Oid>) -> Result<Vec<Oid>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    for commit in named.iter().filter(|id| repository.find_commit(**id).is_ok()) {
        walk.push(*commit)?;
    }
    for reference in repository.references()? {
        if let Ok(tip) = reference?.peel_to_commit() {
            walk.hide(tip.id())?;
        }
    }
    let (mut tips, mut covered) = (Vec::new(), BTreeSet::new());
    for commit in walk {
        let commit = commit?;
        if !covered.contains(&commit) && named.contains(&commit) {
            tips.push(commit);
            covered.insert(commit);
        }
        if covered.contains(&commit) {
            covered.extend(repository.find_commit(commit)?.parent_ids());
        }
    }
    Ok(tips)
}

/// Writes a commit that is the same each time: its time is that of the commit it stands on.
fn commit(
    repository: &Repository,
    head: Option<&Commit<'_>>,
    tree: Oid,
    parents: &[Oid],
    message: &str,
) -> Result<Oid, git2::Error> {
    let time = head.map_or(git2::Time::new(0, 0), Commit::time);
    let who = Signature::new("kugetsu", "kugetsu@localhost", &time)?;
    let tree = repository.find_tree(tree)?;
    let parents: Vec<Commit<'_>> =
        parents.iter().map(|parent| repository.find_commit(*parent)).collect::<Result<_, _>>()?;
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    repository.commit(None, &who, &who, &format!("kugetsu: {message}\n"), &tree, &parents)
}

/// Puts what is at `path` below `place` into the index, byte for byte.
fn put(odb: &Odb<'_>, index: &mut Index, place: &Path, path: &Path) -> Result<(), git2::Error> {
    let full = place.join(path);
    // What has gone since, or cannot be read, stays where it is.
    let Ok(found) = fs::symlink_metadata(&full) else { return Ok(()) };
    if found.is_dir() {
        // git does not look into a repository inside of the worktree; we do, but for its own `.git`.
        let inside = fs::read_dir(&full).into_iter().flatten().flatten();
        for name in inside.map(|inside| inside.file_name()).filter(|name| name != ".git") {
            put(odb, index, place, &path.join(name))?;
        }
        return Ok(());
    }
    let (id, mode) = if found.is_symlink() {
        let Ok(target) = fs::read_link(&full) else { return Ok(()) };
        (odb.write(ObjectType::Blob, &target.into_os_string().into_vec())?, 0o120_000)
    } else if found.is_file() {
        let is_program = found.permissions().mode() & 0o100 != 0;
        let Ok(id) = blob(odb, &full) else { return Ok(()) };
        (id, if is_program { 0o100_755 } else { 0o100_644 })
    } else {
        return Ok(());
    };
    index.add(&IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    })
}

fn blob(odb: &Odb<'_>, path: &Path) -> io::Result<Oid> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let length = file.metadata()?.len();
    let size = usize::try_from(length).map_err(io::Error::other)?;
    let mut writer = odb.writer(size, ObjectType::Blob).map_err(io::Error::other)?;
    io::copy(&mut file.take(length), &mut writer)?;
    writer.finalize().map_err(io::Error::other)
}

/// A new place for something that is moved aside: `<directory>/<number>/`. It is made, and empty.
pub(crate) fn place_aside(directory: &Path) -> io::Result<PathBuf> {
    make_directory(directory)?;
    for number in 1..u32::MAX {
        match fs::create_dir(directory.join(number.to_string())) {
            Ok(()) => return Ok(directory.join(number.to_string())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Moves the file or directory to a new place aside, and gives that.
pub(crate) fn move_aside(what: &Path, directory: &Path) -> io::Result<PathBuf> {
    let name = what.file_name().unwrap_or_default();
    let to = place_aside(directory)?.join(name.to_string_lossy().trim_start_matches('.'));
    fs::rename(what, &to)?;
    Ok(to)
}
