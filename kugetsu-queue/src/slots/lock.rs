//! A kernel lock on an open file: the one place that knows how it is taken.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use fd_lock::RwLock;

/// A file with an exclusive lock that is taken, kept and released by hand.
///
/// The lock belongs to the open file. It is gone when that is closed everywhere: here, and in every
/// process that has inherited it.
#[derive(Debug)]
pub(crate) struct KernelLock {
    file: File,
}

impl KernelLock {
    /// The lock of the file at `path`, which is made if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: open_or_read(path)? })
    }

    /// The lock of the file at `path`, if there is one.
    pub(crate) fn find(path: &Path) -> io::Result<Option<Self>> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Ok(Some(Self { file: File::open(path)? }))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes the lock if it is free. It must not be taken already: the kernel would grant it again.
    pub(crate) fn try_take(&mut self) -> io::Result<bool> {
        kept(RwLock::new(self.file.as_fd()).try_write())
    }

    /// Waits for the lock, for as long as it takes, and takes it.
    pub(super) fn take(&mut self) -> io::Result<()> {
        loop {
            match kept(RwLock::new(self.file.as_fd()).write()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map(|_| ()),
            }
        }
    }

    /// Releases the lock, also for every process that has inherited the file.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.file.unlock()
    }

    /// Whether another open file holds the lock. Must not be asked while this one does.
    pub(super) fn is_taken(&self) -> io::Result<bool> {
        match RwLock::new(self.file.as_fd()).try_read() {
            Ok(_glimpse) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The file, to read and write what it says.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl AsFd for KernelLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The file, made if there is none. Where nothing can be written it is opened for reading, which a
/// kernel lock does not mind.
pub(super) fn open_or_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path),
        opened => opened,
    }
}

/// Keeps the lock that the guard would release, since the guard cannot leave its function.
fn kept<G>(guard: io::Result<G>) -> io::Result<bool> {
    match guard {
        Ok(guard) => {
            mem::forget(guard);
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
