//! Kernel locks on files, for one process or task at a time.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An exclusive lock, held until this and every copy of its open file is gone: the kernel frees it
/// when the last process that has it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits for the lock. The waiting is the kernel's; call it where blocking is allowed.
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            loop {
                match file.lock() {
                    Ok(()) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            // Whoever had it before may have unlinked the file; then the lock says nothing.
            let ours = file.metadata()?;
            match fs::symlink_metadata(path) {
                Ok(there) if there.ino() == ours.ino() && there.dev() == ours.dev() => {
                    return Ok(Self { file, path: path.to_owned() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The lock, if its file is there and nobody has it.
    pub(crate) fn at_once(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let ours = file.metadata()?;
        let there = fs::symlink_metadata(path);
        let same = there.is_ok_and(|it| it.ino() == ours.ino() && it.dev() == ours.dev());
        Ok(same.then(|| Self { file, path: path.to_owned() }))
    }

    /// Its open file. Given to a child, the lock is held until the child is gone too.
    pub(crate) fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Frees the lock now, although a process that another thread starts just now may have a copy of
    /// the open file for a moment. Not for a lock that was [shared](Self::share).
    pub(crate) fn release(self) {
        // If it cannot be freed now, it is when the file is closed.
        let _ = self.file.unlock();
    }

    /// Frees the lock and removes its file.
    pub(crate) fn retire(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
