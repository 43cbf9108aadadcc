//! A context as a file.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, open, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{FORMAT, IssueContext};

/// The largest file that is read, in bytes: far more than is ever written, also in JSON's escapes.
const LARGEST: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Head {
    format: String,
}

#[derive(Serialize)]
struct Versioned<'a> {
    format: &'static str,
    #[serde(flatten)]
    context: &'a IssueContext,
}

/// The context as it is written.
pub(super) fn json(context: &IssueContext) -> io::Result<String> {
    let mut text = serde_json::to_string_pretty(&Versioned { format: FORMAT, context })?;
    text.push('\n');
    Ok(text)
}

/// The context that was written so.
pub(super) fn parsed(text: &str) -> io::Result<IssueContext> {
    let Head { format } = serde_json::from_str(text)?;
    if format != FORMAT {
        let known = format!("it has format {format:?}, and only {FORMAT} is known");
        return Err(io::Error::new(io::ErrorKind::Unsupported, known));
    }
    Ok(serde_json::from_str(text)?)
}

pub(super) fn read(directory: &Path, stem: &str) -> io::Result<Option<IssueContext>> {
    let Some(directory) = opened(directory)? else { return Ok(None) };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = match openat(&directory, name(stem), flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    parsed(&text).map(Some)
}

/// Replaces the file. It is on the disk when this returns.
pub(super) fn write(directory: &Path, stem: &str, context: &IssueContext) -> io::Result<()> {
    let text = json(context)?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let directory = open(directory, flags(), Mode::empty())?;
    let next = format!("{stem}.json.new");
    // What a crash has left, or a link that somebody has put there.
    match unlinkat(&directory, &next, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file: File = openat(&directory, &next, new, Mode::RUSR | Mode::WUSR)?.into();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    renameat(&directory, &next, &directory, name(stem))?;
    Ok(rustix::fs::fsync(&directory)?)
}

pub(super) fn remove(directory: &Path, stem: &str) -> io::Result<bool> {
    let Some(directory) = opened(directory)? else { return Ok(false) };
    match unlinkat(&directory, name(stem), AtFlags::empty()) {
        Ok(()) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    rustix::fs::fsync(&directory)?;
    Ok(true)
}

/// The stems of all files.
pub(super) fn stems(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
    }
    Ok(found)
}

fn opened(directory: &Path) -> io::Result<Option<OwnedFd>> {
    match open(directory, flags(), Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

fn name(stem: &str) -> String {
    format!("{stem}.json")
}
