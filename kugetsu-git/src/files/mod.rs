//! The files of a new worktree, written by ourselves where git would write them as they are.
//!
//! git is right for every tree; it is faster to write the plain ones here, from the clone's objects
//! by a few threads, together with the index. What is not plain is left to git: attributes or
//! settings that could change a byte, submodules, and whatever is odd about a tree. So is whatever
//! fails here, so that git says what is wrong. The result is the same to the byte, the mode and the
//! index entry.
//!
//! A tree is the word of strangers. Names are looked at before anything is written; every file is
//! made anew, in a directory that is held open and was made here, and no link is followed.

mod attributes;
mod clean;
mod image;
mod names;
mod plan;
mod way;
mod write;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use git2::{ObjectType, Odb, Oid};
use kugetsu_core::{Retry, WorktreeError};
use rustix::fs::OFlags;

use crate::fault::backend;
use crate::settings::Settings;

pub(crate) use clean::is_clean;

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = READ.union(OFlags::DIRECTORY);

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Laid {
    /// All files and the index are there.
    Out,
    /// git has to do it, and why. What was written until then may be there.
    Not(String),
}

/// Writes the files of a commit into the empty directory `tree`, and `index` with all that
/// git has to know of them. `objects` is the directory of the clone's objects. Ends soon, with
/// nothing done to the end, when `stop` is set.
///
/// Fails where git could do no better: the disk is full, or cannot be written.
pub(crate) fn lay_out(
    objects: &Path,
    commit: Oid,
    (tree, index): (&Path, &Path),
    settings: &Settings,
    stop: &AtomicBool,
) -> Result<Laid, WorktreeError> {
    let why = match settings.change_files() {
        Some(why) => why,
        None => match laid(objects, commit, (tree, index), stop) {
            Ok(()) => return Ok(Laid::Out),
            Err(Left::Failed(error)) if is_final(&error) => {
                let operation = format!("write the files of {}", tree.display());
                return Err(backend(operation, Retry::Later, error));
            }
            Err(left) => left.to_string(),
        },
    };
    Ok(Laid::Not(why))
}

fn laid(
    objects: &Path,
    commit: Oid,
    (tree, index): (&Path, &Path),
    stop: &AtomicBool,
) -> Result<(), Left> {
    let odb = open(objects)?;
    let mut plan = plan::plan(&odb, root_of(&odb, commit)?)?;
    drop(odb);
    write::write(objects, &mut plan, tree, stop)?;
    Ok(image::write(&plan, index)?)
}

/// The tree of a commit, which is named in the commit's first line.
fn root_of(odb: &Odb<'_>, commit: Oid) -> Result<Oid, Left> {
    let object = odb.read(commit)?;
    let line = object.data().strip_prefix(b"tree ").and_then(|rest| rest.get(..40));
    let root = line.and_then(|hex| std::str::from_utf8(hex).ok());
    match root.filter(|_| object.kind() == ObjectType::Commit) {
        Some(root) => Ok(Oid::from_str(root)?),
        None => Err(Left::odd("it is no commit")),
    }
}

/// The clone's objects alone: no configuration is read.
fn open<'a>(objects: &Path) -> Result<Odb<'a>, Left> {
    let path = objects.to_str().ok_or_else(|| Left::odd("the clone's path is not UTF-8"))?;
    let odb = Odb::new()?;
    odb.add_disk_alternate(path)?;
    Ok(odb)
}

/// Whether git would fail in the same way.
fn is_final(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::Interrupted
    )
}

/// Why it is left to git.
#[derive(Debug, thiserror::Error)]
enum Left {
    #[error("{0}")]
    Odd(String),
    #[error(transparent)]
    Failed(#[from] io::Error),
    #[error(transparent)]
    Object(#[from] git2::Error),
}

impl Left {
    fn odd(why: impl Into<String>) -> Self {
        Self::Odd(why.into())
    }
}

impl From<rustix::io::Errno> for Left {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether the attributes in the file leave every byte as it is. A file that is not there does.
pub(crate) fn is_plain(path: &Path) -> bool {
    match fs::read(path) {
        Ok(text) => attributes::are_plain(&text),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
