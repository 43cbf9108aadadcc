//! Seeing at a glance that a worktree holds nothing but what is committed.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Odb, Oid};
use rustix::fs::{AtFlags, Dir, FileType, Mode, Stat};

use super::image::{self, HEAD, START, STAT};
use super::plan::{Directory, LINK, PROGRAM, Plan, Run, plan};
use super::way::Way;
use super::{DIRECTORY, Left};

/// Whether it is certain that all files of the tree `root`, and no others but ignored ones, are in
/// `place` as they were committed. `false` says that somebody has to look more closely: at files
/// that were written anew, at an index of another kind, at a tree that is not plain.
///
/// A file is the committed one if the index says so and the file is as the index has seen it, by
/// every number that the file system has for it, or else if its bytes are.
pub(crate) fn is_clean(
    odb: &Odb<'_>,
    root: Oid,
    (place, index): (&Path, &Path),
    is_ignored: &dyn Fn(&Path) -> bool,
) -> bool {
    look(odb, root, (place, index), is_ignored).unwrap_or(false)
}

fn look(
    odb: &Odb<'_>,
    root: Oid,
    (place, index): (&Path, &Path),
    is_ignored: &dyn Fn(&Path) -> bool,
) -> Result<bool, Left> {
    let plan = plan(odb, root)?;
    let mut seen = Vec::new();
    let mut file = File::open(index)?;
    let written = file.metadata()?;
    file.read_to_end(&mut seen)?;
    let written = (written.mtime(), written.mtime_nsec());
    let Some(seen) = entries(&plan, &seen) else { return Ok(false) };
    let open = rustix::fs::open(place, DIRECTORY, Mode::empty())?;
    Ok(all_as_seen(&plan, seen, &open, written)?
        && nothing_else(&plan, &plan.root, &open, &mut PathBuf::new(), is_ignored)?)
}

/// The index's entries, if they are those of the plan, and nothing is marked in them.
fn entries<'a>(plan: &Plan, index: &'a [u8]) -> Option<&'a [u8]> {
    let (head, rest) = index.split_at_checked(START)?;
    let seen = rest.get(..plan.image.len())?;
    if head != image::head(plan.count).ok()? {
        return None;
    }
    let mut at = 0;
    while at < seen.len() {
        let (ours, theirs) = (plan.image.get(at..)?, seen.get(at..)?);
        let size = image::size(ours);
        let same = |range: std::ops::Range<usize>| ours.get(range.clone()) == theirs.get(range);
        if !same(24..28) || !same(STAT..size) {
            return None;
        }
        at += size;
    }
    Some(seen)
}

fn all_as_seen(
    plan: &Plan,
    mut seen: &[u8],
    root: &OwnedFd,
    written: (i64, i64),
) -> Result<bool, Left> {
    let mut way = Way::new(root);
    for run in &plan.runs {
        let directory = way.enter(&run.directory)?;
        let (mut part, rest) = seen.split_at(run.bytes);
        seen = rest;
        while part.len() > HEAD {
            let (entry, rest) = part.split_at(image::size(part));
            let name = image::path(entry)?.to_bytes_with_nul();
            let name = name.get(skip(run)..).and_then(|name| CStr::from_bytes_with_nul(name).ok());
            let name = name.ok_or_else(|| Left::odd("a name is odd"))?;
            if !is_as_seen(directory, name, entry, written)? {
                return Ok(false);
            }
            part = rest;
        }
    }
    Ok(true)
}

fn skip(run: &Run) -> usize {
    if run.directory.is_empty() { 0 } else { run.directory.len() + 1 }
}

fn is_as_seen(
    directory: &OwnedFd,
    name: &CStr,
    entry: &[u8],
    written: (i64, i64),
) -> Result<bool, Left> {
    let found = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (mode, id) = image::about(entry);
    let kind = FileType::from_raw_mode(found.st_mode);
    let same_kind = match mode {
        LINK => kind == FileType::Symlink,
        mode => kind == FileType::RegularFile && (mode == PROGRAM) == (found.st_mode & 0o100 != 0),
    };
    if !same_kind {
        return Ok(false);
    }
    // A file that was written after the index, or at the same instant, may only look the same.
    if image::is_noted(entry, &found) && modified(&found) < written {
        return Ok(true);
    }
    holds(directory, name, mode, &found, id)
}

#[allow(clippy::cast_possible_wrap, clippy::unnecessary_cast)]
fn modified(found: &Stat) -> (i64, i64) {
    (found.st_mtime as i64, found.st_mtime_nsec as i64)
}

/// Files that are larger are not read for that.
const LARGEST: i64 = 1024 * 1024;

/// Whether the file holds the object, byte for byte.
fn holds(
    directory: &OwnedFd,
    name: &CStr,
    mode: u32,
    found: &Stat,
    id: &[u8],
) -> Result<bool, Left> {
    if found.st_size > LARGEST {
        return Ok(false);
    }
    let bytes = if mode == LINK {
        rustix::fs::readlinkat(directory, name, Vec::new())?.into_bytes()
    } else {
        let flags = super::READ;
        let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
        let mut bytes = Vec::new();
        file.take(LARGEST.unsigned_abs() + 1).read_to_end(&mut bytes)?;
        bytes
    };
    Ok(Oid::hash_object(ObjectType::Blob, &bytes)?.as_bytes() == id)
}

/// Whether nothing else is in the directory and those below it but what is ignored.
fn nothing_else(
    plan: &Plan,
    directory: &Directory,
    open: &OwnedFd,
    path: &mut PathBuf,
    is_ignored: &dyn Fn(&Path) -> bool,
) -> Result<bool, Left> {
    let mut more = 0usize;
    for entry in Dir::read_from(open)? {
        let entry = entry?;
        more += usize::from(!is_own(entry.file_name(), path));
    }
    // All that belongs there was seen.
    let below: usize = directory.inside.iter().map(|inside| inside.count).sum();
    if more != directory.count - below + directory.inside.len()
        && !rest_is_ignored(plan, directory, open, path, is_ignored)?
    {
        return Ok(false);
    }
    for inside in &directory.inside {
        let below = rustix::fs::openat(open, &*inside.name, DIRECTORY, Mode::empty())?;
        path.push(OsStr::from_bytes(&inside.name));
        let empty = nothing_else(plan, inside, &below, path, is_ignored)?;
        path.pop();
        if !empty {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is no file of the worktree's: the directory itself, the one above, and the link to the
/// worktree's administration.
fn is_own(name: &CStr, path: &Path) -> bool {
    let name = name.to_bytes();
    name == b"." || name == b".." || (name == b".git" && path.as_os_str().is_empty())
}

fn rest_is_ignored(
    plan: &Plan,
    directory: &Directory,
    open: &OwnedFd,
    path: &mut PathBuf,
    is_ignored: &dyn Fn(&Path) -> bool,
) -> Result<bool, Left> {
    let mut known: HashSet<&[u8]> = directory.inside.iter().map(|inside| &*inside.name).collect();
    let own = path.as_os_str().as_bytes();
    let mut image = &*plan.image;
    for run in &plan.runs {
        let (mut part, rest) = image.split_at(run.bytes);
        image = rest;
        while run.directory == own && part.len() > HEAD {
            let (entry, rest) = part.split_at(image::size(part));
            known.extend(image::path(entry)?.to_bytes().get(skip(run)..));
            part = rest;
        }
    }
    for entry in Dir::read_from(open)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_own(name, path) || known.contains(name.to_bytes()) {
            continue;
        }
        path.push(OsStr::from_bytes(name.to_bytes()));
        let ignored = is_ignored(path);
        path.pop();
        if !ignored {
            return Ok(false);
        }
    }
    Ok(true)
}
