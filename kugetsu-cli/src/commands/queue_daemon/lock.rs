//! The daemon's lock: there is one daemon for each `KUGETSU_DIR`, and the kernel knows which.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kugetsu_core::Timestamp;
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

use crate::errors::{CliError, Kind};
use crate::paths::{Paths, replace};
use crate::screen::{escape, time};

/// How much is read of what the lock's file says.
const LONGEST: u64 = 200;

/// The lock file that this process holds, and what it does there unless it is the daemon. A record lock is let go when its process closes any file
/// that it has open of the same one, so that the daemon itself must not look.
static HELD: Mutex<Option<(PathBuf, Option<String>)>> = Mutex::new(None);

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

fn held() -> MutexGuard<'static, Option<(PathBuf, Option<String>)>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lock {
    /// Takes it to be the daemon; `None` if another process has it.
    pub(super) fn take(paths: &Paths) -> Result<Option<Self>, CliError> {
        let lock = Self::take_as(paths, None)?;
        if lock.is_some() {
            // For people only: the lock is what counts.
            let note = format!("{} {}\n", std::process::id(), jiff::Timestamp::now());
            let _ = replace(&paths.queue().join("daemon.pid"), &note);
        }
        Ok(lock)
    }

    /// Takes it, so that there is no daemon meanwhile, and says in the lock's file what is done
    /// instead; `None` if another process has it.
    pub(super) fn keep(paths: &Paths, what: &str) -> Result<Option<Self>, CliError> {
        Self::take_as(paths, Some(what))
    }

    fn take_as(paths: &Paths, what: Option<&str>) -> Result<Option<Self>, CliError> {
        let path = path(paths);
        let told = |error: &io::Error| CliError::io(format_args!("lock {}", path.display()), error);
        let mut held = held();
        if held.as_ref().is_some_and(|(held, _)| *held == path) {
            return Ok(None);
        }
        let file = open(&path).map_err(|error| told(&error))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(told(&error.into())),
        }
        // The lock is what counts, and this only says whose it is.
        let _ = file.set_len(0);
        let _ = file.write_all_at(what.unwrap_or_default().as_bytes(), 0);
        *held = Some((path, what.map(str::to_owned)));
        Ok(Some(Self { _file: file }))
    }
}

/// A process that holds the lock.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) pid: Pid,
    /// What it does there, unless it is the daemon.
    pub(super) what: Option<String>,
}

/// The daemon's process, if it runs.
pub(super) fn daemon(paths: &Paths) -> Result<Option<Pid>, CliError> {
    Ok(holder(paths)?.filter(|holder| holder.what.is_none()).map(|holder| holder.pid))
}

/// The process that holds the lock; `None` if nobody does.
pub(super) fn holder(paths: &Paths) -> Result<Option<Holder>, CliError> {
    let path = path(paths);
    let told = |error: &io::Error| CliError::io(format_args!("look at {}", path.display()), error);
    if let Some((held, what)) = held().as_ref()
        && *held == path
    {
        return Ok(Some(Holder { pid: rustix::process::getpid(), what: what.clone() }));
    }
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&error)),
    };
    let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock));
    let pid = held.map_err(|error| told(&error.into()))?.and_then(|lock| lock.pid);
    let Some(pid) = pid else { return Ok(None) };
    let mut what = String::new();
    // Whatever else stands there is no note of ours.
    let _ = file.take(LONGEST).read_to_string(&mut what);
    Ok(Some(Holder { pid, what: Some(what).filter(|what| !what.is_empty()) }))
}

/// Since when this process holds the lock, if it has said so.
pub(super) fn since(paths: &Paths, pid: u32) -> Option<Timestamp> {
    let note = crate::paths::read(&paths.queue().join("daemon.pid")).ok()?;
    let (whose, since) = note.trim().split_once(' ')?;
    let since: jiff::Timestamp = since.parse().ok()?;
    let is_its = whose.parse() == Ok(pid);
    is_its.then(|| u64::try_from(since.as_millisecond()).ok().map(Timestamp::from_millis))?
}

/// Says who is in the daemon's place.
pub(super) fn taken(paths: &Paths) -> Result<CliError, CliError> {
    let Some(Holder { pid, what }) = holder(paths)? else {
        let message = "another process was in the daemon's place just now";
        return Ok(CliError::new(Kind::Temporary, message).hint("try again"));
    };
    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default();
    let Some(what) = what else {
        let message = format!("the daemon is running: {}", words(pid, since(paths, pid)));
        return Ok(
            CliError::new(Kind::InUse, message).hint("stop it with `kugetsu queue-daemon stop`")
        );
    };
    let message = format!("`{}` is at work: {}", escape::line(&what), words(pid, None));
    Ok(CliError::new(Kind::Temporary, message).hint("try again when it has ended"))
}

/// A process, and since when it holds the lock, in words.
pub(super) fn words(pid: u32, since: Option<Timestamp>) -> String {
    match since {
        Some(since) => format!("process {pid} since {}", time::clock(since)),
        None => format!("process {pid}"),
    }
}

fn path(paths: &Paths) -> PathBuf {
    paths.queue().join("daemon.lock")
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
