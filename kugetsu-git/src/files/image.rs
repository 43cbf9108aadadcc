//! The index of a new worktree: git's own format, version 2, as gitformat-index(5) describes it.

use std::ffi::CStr;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::Stat;
use sha1_smol::Sha1;

use super::Left;
use super::plan::{Directory, Plan};

/// What precedes an entry's path.
pub(super) const HEAD: usize = 62;
/// Of which this many bytes tell of the file on disk.
pub(super) const STAT: usize = 40;
/// What precedes all entries.
pub(super) const START: usize = 12;
const ID: usize = 20;
/// Longer paths are told to be this long.
const LONGEST: usize = 0xfff;

/// Adds an entry that knows nothing yet of the file on disk.
pub(super) fn push(image: &mut Vec<u8>, path: &[u8], mode: u32, id: &[u8]) {
    let start = image.len();
    image.resize(start + STAT, 0);
    image[start + 24..start + 28].copy_from_slice(&mode.to_be_bytes());
    image.extend_from_slice(id);
    let length = u16::try_from(path.len().min(LONGEST)).unwrap_or_default();
    image.extend_from_slice(&length.to_be_bytes());
    image.extend_from_slice(path);
    image.resize(start + whole(path.len()), 0);
}

/// How long an entry is: at least one byte follows the path, and all is a multiple of eight.
fn whole(path: usize) -> usize {
    (HEAD + path + 8) / 8 * 8
}

/// How long the first of the entries is.
pub(super) fn size(entries: &[u8]) -> usize {
    let path = entries.get(HEAD..).and_then(|rest| rest.iter().position(|byte| *byte == 0));
    whole(path.unwrap_or_default()).min(entries.len())
}

/// The path of an entry.
pub(super) fn path(entry: &[u8]) -> Result<&CStr, Left> {
    let path = entry.get(HEAD..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok());
    path.ok_or_else(|| Left::odd("the index is cut short"))
}

/// The mode and the object of an entry.
pub(super) fn about(entry: &[u8]) -> (u32, &[u8]) {
    let mode = u32::from_be_bytes([entry[24], entry[25], entry[26], entry[27]]);
    (mode, &entry[STAT..STAT + ID])
}

/// Notes what the file on disk is like.
pub(super) fn note(entry: &mut [u8], found: &Stat) {
    for (at, value) in fields(found) {
        entry[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
}

/// Whether the file on disk is as it was noted.
pub(super) fn is_noted(entry: &[u8], found: &Stat) -> bool {
    fields(found).iter().all(|(at, value)| entry.get(*at..at + 4) == Some(&value.to_be_bytes()))
}

/// Where in an entry which number of a file's is. Numbers are cut to 32 bits, as git does.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn fields(found: &Stat) -> [(usize, u32); 9] {
    let mut size = found.st_size as u32;
    if size == 0 && found.st_size != 0 {
        // To git, zero would say that the file was not looked at.
        size = 1 << 31;
    }
    [
        (0, found.st_ctime as u32),
        (4, found.st_ctime_nsec as u32),
        (8, found.st_mtime as u32),
        (12, found.st_mtime_nsec as u32),
        (16, found.st_dev as u32),
        (20, found.st_ino as u32),
        (28, found.st_uid),
        (32, found.st_gid),
        (36, size),
    ]
}

/// What an index of so many entries begins with.
pub(super) fn head(count: usize) -> io::Result<Vec<u8>> {
    let count = u32::try_from(count).map_err(io::Error::other)?;
    Ok([b"DIRC\0\0\0\x02".as_slice(), &count.to_be_bytes()].concat())
}

/// Writes the index file, which must not be there.
pub(super) fn write(plan: &Plan, path: &Path) -> io::Result<()> {
    let head = head(plan.count)?;
    let mut trees = Vec::new();
    tell(&plan.root, &mut trees);
    let mut extension = b"TREE".to_vec();
    extension
        .extend_from_slice(&u32::try_from(trees.len()).map_err(io::Error::other)?.to_be_bytes());
    extension.extend_from_slice(&trees);
    let mut sum = Sha1::new();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    for part in [&head, &plan.image, &extension] {
        sum.update(part);
        file.write_all(part)?;
    }
    file.write_all(&sum.digest().bytes())
}

/// Which part of the index is which tree, so that git need not find out.
fn tell(directory: &Directory, told: &mut Vec<u8>) {
    told.extend_from_slice(&directory.name);
    told.push(0);
    told.extend_from_slice(format!("{} {}\n", directory.count, directory.inside.len()).as_bytes());
    told.extend_from_slice(directory.id.as_bytes());
    for inside in &directory.inside {
        tell(inside, told);
    }
}
