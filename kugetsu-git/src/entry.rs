//! A worktree's administration: the files in the clone, and the link to them in the worktree.
//!
//! The layout is git's own and documented in gitrepository-layout(5). The files are written here
//! because libgit2 (1.9) adds a worktree only together with a checkout of its own, which is several
//! times slower than git's, and neither it nor git does so in one step that a crash cannot halve.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository};
use kugetsu_core::{IssueRef, WorktreeError};
use serde::{Deserialize, Serialize};

use crate::fault::Doing;
use crate::site::Site;

const FORMAT: &str = "kugetsu.worktree/1";
const RECORD: &str = "kugetsu.json";
/// git leaves a worktree with a file of this name alone, whatever it looks like.
const LOCKED: &str = "locked";
/// Files larger than this are none of ours.
const LONGEST: u64 = 64 * 1024;

/// What we know about a worktree and git does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: String,
    pub(crate) issue: IssueRef,
    /// The remote's branch that the work started from.
    #[serde(default)]
    pub(crate) base: Option<String>,
    /// The commit that it was at.
    #[serde(default)]
    pub(crate) from: Option<String>,
}

impl Record {
    pub(crate) fn new(issue: IssueRef, base: Option<String>, from: Option<Oid>) -> Self {
        Self { format: FORMAT.into(), issue, base, from: from.map(|id| id.to_string()) }
    }

    /// The record in the entry, if there is one that can be read.
    pub(crate) fn read(entry: &Path) -> Option<Self> {
        let text = read_file(&entry.join(RECORD)).ok()??;
        serde_json::from_slice(&text).ok().filter(|record: &Self| record.format == FORMAT)
    }
}

/// Writes all files of a new entry but its index, and makes sure of them, as [`put`] does of one.
pub(crate) fn write(site: &Site, entry: &Path, record: &Record) -> io::Result<()> {
    start(&entry.join("HEAD"), format!("ref: {}\n", site.branch()).as_bytes())?;
    start(&entry.join("commondir"), b"../..\n")?;
    start(&entry.join("gitdir"), &line(b"", &site.tree.join(".git")))?;
    // Last, since it alone says what nothing else does; the others can be made again of nothing.
    let record = serde_json::to_vec(record).map_err(io::Error::other)?;
    start(&entry.join(RECORD), &record)?.sync_data()
}

/// Writes the link in a worktree that nobody has seen yet.
pub(crate) fn write_first_link(site: &Site, tree: &Path) -> io::Result<()> {
    start(&tree.join(".git"), &line(b"gitdir: ", &site.entry())).map(drop)
}

/// Writes a file that nobody has seen yet, and has the kernel begin to bring it to the disk.
fn start(path: &Path, text: &[u8]) -> io::Result<File> {
    let mut file = anew(path)?;
    file.write_all(text)?;
    // That it is not needed any more is what has it written soon; nothing depends on it.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    Ok(file)
}

/// Opens a new file in the place of whatever is there.
fn anew(path: &Path) -> io::Result<File> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Writes the link in the worktree at `tree`, unless it is there.
pub(crate) fn write_link(site: &Site, tree: &Path) -> io::Result<()> {
    if read_link(tree)? == Link::To(site.entry()) {
        return Ok(());
    }
    put(&tree.join(".git"), &line(b"gitdir: ", &site.entry()))
}

/// Tells git to leave the entry alone while it is being made.
pub(crate) fn lock(entry: &Path) -> io::Result<()> {
    start(&entry.join(LOCKED), b"kugetsu is making it\n").map(drop)
}

/// Takes our lock away again; a lock of somebody else's stays.
pub(crate) fn unlock(entry: &Path) -> io::Result<()> {
    if is_locked_by_us(entry) { fs::remove_file(entry.join(LOCKED)) } else { Ok(()) }
}

/// Whether our lock is there.
pub(crate) fn is_locked_by_us(entry: &Path) -> bool {
    let text = read_file(&entry.join(LOCKED)).ok().flatten();
    text.is_some_and(|text| text.starts_with(b"kugetsu is making it"))
}

/// Restores whatever of the administration is missing. What is there is left as it is.
pub(crate) fn mend(site: &Site) -> Result<(), WorktreeError> {
    let entry = site.entry();
    let doing = || format!("mend {}", entry.display());
    let missing = |name: &str| read_file(&entry.join(name)).is_ok_and(|text| text.is_none());
    if missing("HEAD") {
        put(&entry.join("HEAD"), format!("ref: {}\n", site.branch()).as_bytes()).doing(doing)?;
    }
    if missing("commondir") {
        put(&entry.join("commondir"), b"../..\n").doing(doing)?;
    }
    if place(&entry).doing(doing)?.is_none_or(|place| place != site.tree) {
        put(&entry.join("gitdir"), &line(b"", &site.tree.join(".git"))).doing(doing)?;
    }
    if Record::read(&entry).is_none() {
        let record = Record::new(site.issue.clone(), None, None);
        let text = serde_json::to_vec(&record).map_err(io::Error::other).doing(doing)?;
        put(&entry.join(RECORD), &text).doing(doing)?;
    }
    if fs::symlink_metadata(entry.join("index")).is_err() {
        let repository = Repository::open_bare(&site.clone).doing(doing)?;
        if let Some(commit) = head(&repository, &entry) {
            write_index(&repository, commit, &entry).doing(doing)?;
        }
    }
    unlock(&entry).doing(doing)
}

/// Writes an index that holds the commit's files and knows nothing about the files on disk: git
/// compares them when it next looks.
pub(crate) fn write_index(
    repository: &Repository,
    commit: Oid,
    entry: &Path,
) -> Result<(), git2::Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let mut index = git2::Index::open(&entry.join("index"))?;
    index.read_tree(&tree)?;
    index.write()
}

/// The commit that an entry's HEAD is at.
pub(crate) fn head(repository: &Repository, entry: &Path) -> Option<Oid> {
    let text = read_file(&entry.join("HEAD")).ok()??;
    let text = String::from_utf8(text).ok()?;
    match text.trim().strip_prefix("ref:") {
        Some(name) => repository.refname_to_id(name.trim()).ok(),
        None => Oid::from_str(text.trim()).ok(),
    }
}

/// The branch that an entry's HEAD is on; `HEAD` if it is on none.
pub(crate) fn branch(entry: &Path) -> Option<String> {
    let name = on(entry)?;
    Some(name.strip_prefix("refs/heads/").map_or_else(|| name.clone(), str::to_owned))
}

/// The full name of the reference that an entry's HEAD is on; `HEAD` if it is on none.
pub(crate) fn on(entry: &Path) -> Option<String> {
    let text = String::from_utf8(read_file(&entry.join("HEAD")).ok()??).ok()?;
    Some(text.trim().strip_prefix("ref:").unwrap_or("HEAD").trim().to_owned())
}

/// The worktree that an entry says it belongs to.
pub(crate) fn place(entry: &Path) -> io::Result<Option<PathBuf>> {
    let Some(text) = read_file(&entry.join("gitdir"))? else { return Ok(None) };
    let path = PathBuf::from(OsString::from_vec(text.trim_ascii_end().to_vec()));
    Ok(path.parent().filter(|place| place.is_absolute()).map(Path::to_path_buf))
}

/// What is at `tree/.git`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Missing,
    To(PathBuf),
    /// A file that leads nowhere.
    Garbled,
    /// A directory, a symbolic link or something else that git did not put there.
    Other,
}

/// Reads the link in the worktree at `tree`.
pub(crate) fn read_link(tree: &Path) -> io::Result<Link> {
    let path = tree.join(".git");
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => return Ok(Link::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Link::Missing),
        Err(error) => return Err(error),
        Ok(found) if found.len() == 0 => return Ok(Link::Missing),
        Ok(_) => {}
    }
    let text = read_file(&path)?.unwrap_or_default();
    Ok(match text.trim_ascii_end().strip_prefix(b"gitdir:") {
        Some(target) => {
            let target = PathBuf::from(OsString::from_vec(target.trim_ascii_start().to_vec()));
            // Newer gits can write it relative to the worktree.
            let relative = target.is_relative().then(|| tree.join(&target).canonicalize().ok());
            Link::To(relative.flatten().unwrap_or(target))
        }
        None => Link::Garbled,
    })
}

fn line(before: &[u8], path: &Path) -> Vec<u8> {
    [before, path.as_os_str().as_bytes(), b"\n"].concat()
}

/// The file's content; `None` if there is none, if it is empty, or if it is no plain file.
pub(crate) fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open_file(path)? else { return Ok(None) };
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The end of a file that may be long; `None` as with [`read_file`].
pub(crate) fn read_end(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_file(path)? else { return Ok(None) };
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(LONGEST)))?;
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn open_file(path: &Path) -> io::Result<Option<File>> {
    // The nonblocking flag keeps a pipe that somebody put there from holding us.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(nonblocking | no_follow).open(path)
    {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Writes a whole file beside and renames it into place, so that no link is followed and no half
/// file is ever seen.
pub(crate) fn put(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(path);
    let mut file = anew(&new)?;
    file.write_all(text)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&new, path)
}

/// The same, for what can be made again: if the power fails soon, an empty file may be there.
pub(crate) fn put_soon(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(path);
    drop(start(&new, text)?);
    fs::rename(&new, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".kugetsu");
    path.with_file_name(name)
}
