//! The daemon's lock: there is one daemon for each `KUGETSU_DIR`, and the kernel knows which.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kugetsu_core::Timestamp;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

use crate::errors::CliError;
use crate::paths::{Paths, replace};
use crate::screen::time;

/// The lock file that this process holds. A record lock is let go when its process closes any file
/// that it has open of the same one, so that the daemon itself must not look.
static HELD: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The right to be the daemon, as long as it lives. A record lock of the process: what it starts
/// does not have it, and whoever asks is told the process.
#[derive(Debug)]
pub(in crate::commands) struct Lock {
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        *held() = None;
    }
}

fn held() -> MutexGuard<'static, Option<PathBuf>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lock {
    /// Takes it; `None` if another process has it.
    pub(super) fn take(paths: &Paths) -> Result<Option<Self>, CliError> {
        let path = path(paths);
        let told = |error: &io::Error| CliError::io(format_args!("lock {}", path.display()), error);
        let mut held = held();
        if held.as_ref() == Some(&path) {
            return Ok(None);
        }
        let file = open(&path).map_err(|error| told(&error))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(told(&error.into())),
        }
        *held = Some(path);
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
    if held().as_ref() == Some(&path) {
        return Ok(Some(rustix::process::getpid()));
    }
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&error)),
    };
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock));
    Ok(held.map_err(|error| told(&error.into()))?.and_then(|lock| lock.pid))
}

/// Since when this process holds the lock, if it has said so.
pub(super) fn since(paths: &Paths, pid: u32) -> Option<Timestamp> {
    let note = crate::paths::read(&paths.queue().join("daemon.pid")).ok()?;
    let (whose, since) = note.trim().split_once(' ')?;
    let since: jiff::Timestamp = since.parse().ok()?;
    let is_its = whose.parse() == Ok(pid);
    is_its.then(|| u64::try_from(since.as_millisecond()).ok().map(Timestamp::from_millis))?
}

/// Who holds the lock, in words; `another process` if it has just let go.
pub(super) fn told(paths: &Paths) -> Result<String, CliError> {
    let Some(pid) = holder(paths)? else { return Ok("another process".to_owned()) };
    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default();
    Ok(match since(paths, pid) {
        Some(since) => format!("process {pid} since {}", time::clock(since)),
        None => format!("process {pid}"),
    })
}

fn path(paths: &Paths) -> PathBuf {
    paths.queue().join("daemon.lock")
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
