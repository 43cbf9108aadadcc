//! Reading and changing one env file.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::format::{self, Assignment, Unreadable};
use super::names;
use crate::errors::CliError;
use crate::paths;

/// The largest env file, in bytes: one that is larger is none.
const LARGEST: u64 = 4 << 20;

/// The text of the file; `None` if there is none. Refused is one that others can read, and one that
/// is no plain file, as a link out of kugetsu's directory.
pub(super) fn text(path: &Path) -> Result<Option<String>, CliError> {
    path.parent().map_or(Ok(()), must_be_no_link)?;
    let told = |error: io::Error| CliError::io(format_args!("read {}", path.display()), &error);
    let follow_no_link = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(follow_no_link).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_of_link(&error) => return Err(is_a_link(path)),
        Err(error) => return Err(told(error)),
    };
    let about = file.metadata().map_err(told)?;
    if !about.is_file() || about.len() > LARGEST {
        let why = format!("{} is no file of variables", path.display());
        return Err(CliError::config(why).hint("move it away"));
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let message = format!("{} can be read by others (mode {mode:o})", path.display());
        return Err(CliError::config(message).hint(format!("chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(told)?;
    // An error of std's would not, but nothing of the text may stand in a message.
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::config(format!("{} is not UTF-8", path.display())))?;
    Ok(Some(text))
}

/// Refuses a directory of env files that is a link.
pub(super) fn must_be_no_link(directory: &Path) -> Result<(), CliError> {
    match std::fs::symlink_metadata(directory) {
        Ok(about) if about.is_symlink() => Err(is_a_link(directory)),
        _ => Ok(()),
    }
}

fn is_of_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

fn is_a_link(path: &Path) -> CliError {
    let why = format!("{} is a link, and env files are followed nowhere", path.display());
    CliError::config(why).hint("put what it leads to itself in its place")
}

/// What the text sets. Nothing of it stands in an error but the place.
pub(super) fn parsed(path: &Path, text: &str) -> Result<Vec<Assignment>, CliError> {
    let all = format::parse(text).map_err(|unreadable| told(path, unreadable))?;
    for assignment in &all {
        if let Some(why) = names::refused(&assignment.name) {
            let line = text[..assignment.range.start].matches('\n').count() + 1;
            let name = &assignment.name;
            let message = format!("{}:{line}: {name} is not for env files: {why}", path.display());
            return Err(CliError::config(message).hint("remove the line"));
        }
    }
    Ok(all)
}

fn told(path: &Path, Unreadable(line): Unreadable) -> CliError {
    CliError::config(format!("{}:{line}: no variable stands there", path.display()))
        .hint("a line is: export NAME=\"value\"")
}

/// Changes the file's text, `None` being no change, and says whether it was changed. Two who do so at
/// once do it one after the other; a crash leaves the old text or the new one.
pub(super) fn change(
    path: &Path,
    change: impl FnOnce(&str) -> Result<Option<String>, Unreadable>,
) -> Result<bool, CliError> {
    let failed = |error: io::Error| CliError::io(format_args!("write {}", path.display()), &error);
    path.parent().map_or(Ok(()), must_be_no_link)?;
    let _lock = match paths::lock_beside(path) {
        Err(error) if is_of_link(&error) => return Err(is_a_link(&path.with_extension("lock"))),
        lock => lock.map_err(failed)?,
    };
    let before = text(path)?.unwrap_or_default();
    let Some(after) = change(&before).map_err(|unreadable| told(path, unreadable))? else {
        return Ok(false);
    };
    paths::replace(path, &after).map_err(failed)?;
    Ok(true)
}
