//! Deleting trees that somebody else has written.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// Deletes what is at `path`, if anything is. Symbolic links in it are deleted, never followed;
/// directories that were made unwritable are deleted all the same. Several may delete the same at
/// once.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    match delete_once(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            match open_up(CWD, path) {
                // Somebody else deletes it too.
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => delete_once(path),
            }
        }
        result => result,
    }
}

fn delete_once(path: &Path) -> io::Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Lets the owner enter and change `name` and all directories in it, without following links.
fn open_up(parent: impl rustix::fd::AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
    let name = name.into_c_str()?;
    let found = rustix::fs::statat(&parent, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if found.st_mode & 0o700 != 0o700 {
        rustix::fs::chmodat(&parent, &*name, Mode::RWXU, AtFlags::empty())?;
    }
    let directory = rustix::fs::openat(&parent, &*name, flags, Mode::empty())?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            open_up(&directory, entry.file_name())?;
        }
    }
    Ok(())
}
