//! The daemon's lock: there is one daemon for each `KUGETSU_DIR`, and the kernel knows which.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

use crate::errors::CliError;
use crate::paths::{Paths, replace};

/// The right to be the daemon, as long as it lives. A record lock of the process: what it starts
/// does not have it, and whoever asks is told the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it; `None` if another process has it.
    pub(super) fn take(paths: &Paths) -> Result<Option<Self>, CliError> {
        let path = path(paths);
        let told = |error: &io::Error| CliError::io(format_args!("lock {}", path.display()), error);
        let file = open(&path).map_err(|error| told(&error))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(told(&error.into())),
        }
        // For people only: the lock is what counts.
        let note = format!("{} {}\n", std::process::id(), jiff::Timestamp::now());
        let _ = replace(&paths.queue().join("daemon.pid"), &note);
        Ok(Some(Self { _file: file }))
    }
}

/// The process that holds the lock; `None` if nobody does.
pub(super) fn holder(paths: &Paths) -> Result<Option<Pid>, CliError> {
    let path = path(paths);
    let told = |error: &io::Error| CliError::io(format_args!("look at {}", path.display()), error);
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&error)),
    };
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock));
    Ok(held.map_err(|error| told(&error.into()))?.and_then(|lock| lock.pid))
}

fn path(paths: &Paths) -> PathBuf {
    paths.queue().join("daemon.lock")
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
