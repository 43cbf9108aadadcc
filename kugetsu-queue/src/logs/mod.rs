//! Logs: what each attempt's agent said and did, one file an attempt.
//!
//! ```text
//! task      019b76da-a800-7000-8000-000000000001
//! issue     github.com/acme/widgets#42
//! attempt   1
//! worker    host-1-0
//! began     2026-01-01T00:00:00Z
//! worktree  /home/me/.kugetsu/worktrees/github.com-acme-widgets-42
//! branch    fix/issue-42 (new)
//! session   ses_1 (fork+move)
//! 00:00:02 says   I run the tests.
//! 00:00:02 tool   bash: cargo test
//! 00:00:09 tool   bash ok: 12 passed
//! 00:00:09 used   1200 tokens in, 0 from or to the cache, 40 out, 0 thought
//! 00:00:10 ended  completed
//! ```

mod attempt;
mod file;
mod plain;
pub(crate) mod utc;
mod words;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kugetsu_core::{Request, Task, Timestamp, WorkerId};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

pub(crate) use attempt::AttemptLog;
pub use file::{LogFile, LogSummary};
pub(crate) use plain::line as plain_line;

use crate::mask::Mask;

/// How often a process looks for logs that are too old.
const SWEEP: Duration = Duration::from_hours(1);

/// The smallest cap: a header and some lines.
const LEAST: u64 = 8 * 1024;

/// A directory of logs: `<lane>/<UTC time>-<task>-<attempt>.log`, where the lane is the issue's
/// [stem](kugetsu_core::IssueRef::stem), or `pm`.
///
/// # Promises
///
/// * Files are open to their owner only. No link is followed below the directory.
/// * A log holds no known secret and nothing that acts on a terminal, has its attempt's beginning and
///   end in it whatever its size, and ends with how the attempt ended unless its process was killed.
/// * Logs older than the retention are deleted when an attempt begins, and nothing else is.
/// * Failing to write never fails an attempt.
#[derive(Debug, Clone)]
pub struct Logs {
    directory: PathBuf,
    cap: u64,
    retention: Duration,
    /// When they were last swept.
    swept: Arc<Mutex<Option<Timestamp>>>,
}

impl Logs {
    /// The logs in this directory, which is made when it is needed. A log has at most 32 MiB and is
    /// kept for 7 days, unless set.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cap: 32 * 1024 * 1024,
            retention: Duration::from_hours(7 * 24),
            swept: Arc::default(),
        }
    }

    /// The size of the largest log, in bytes; at least 8 KiB. Of a longer one the middle is dropped.
    pub fn with_cap(mut self, bytes: u64) -> Self {
        self.cap = bytes.max(LEAST);
        self
    }

    /// How long a log is kept.
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The name of a request's lane among the logs.
    pub fn lane(request: &Request) -> String {
        request.issue().map_or("pm".to_owned(), kugetsu_core::IssueRef::stem)
    }

    /// The logs of all lanes or of this one, the newest first. Blocks.
    pub fn list(&self, lane: Option<&str>) -> io::Result<Vec<LogFile>> {
        let lanes = match lane {
            Some(lane) => vec![lane.to_owned()],
            None => directories(&self.directory)?,
        };
        let mut found = Vec::new();
        for lane in lanes {
            found.extend(self.of_lane(&lane)?);
        }
        found.sort_by(|a, b| b.cmp(a));
        Ok(found)
    }

    fn of_lane(&self, lane: &str) -> io::Result<Vec<LogFile>> {
        let directory = self.directory.join(lane);
        if !is_directory(&directory)? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            // Not what a link points at.
            if entry.file_type()?.is_file() {
                found.extend(LogFile::named(&directory, lane, &entry.file_name()));
            }
        }
        Ok(found)
    }

    /// Begins the log of the task's newest attempt; `None` if it cannot be written.
    pub(crate) fn begin(
        &self,
        task: &Task,
        worker: &WorkerId,
        now: Timestamp,
        mask: Arc<Mask>,
    ) -> Option<AttemptLog> {
        self.sweep(now);
        let lane = Self::lane(&task.request);
        let name = file::name(now, task.id, task.last_attempt());
        let file = self.create(&lane, &name).ok()?;
        let path = self.directory.join(&lane).join(&name);
        Some(AttemptLog::begin((file, path, self.cap), (task, worker), now, mask))
    }

    fn create(&self, lane: &str, name: &str) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let logs = open(&self.directory, directory(), Mode::empty())?;
        match mkdirat(&logs, lane, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let lane = openat(&logs, lane, directory() | OFlags::NOFOLLOW, Mode::empty())?;
        let new = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&lane, name, new, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Deletes what is too old, if this process has not just done so. What cannot be deleted stays.
    fn sweep(&self, now: Timestamp) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_some_and(|swept| now >= swept && now.since(swept) < SWEEP) {
            return;
        }
        *swept = Some(now);
        for lane in directories(&self.directory).unwrap_or_default() {
            let _ = self.sweep_lane(&lane, now);
        }
    }

    fn sweep_lane(&self, lane: &str, now: Timestamp) -> io::Result<()> {
        let old =
            self.of_lane(lane)?.into_iter().filter(|log| now.since(log.began) > self.retention);
        let mut old = old.peekable();
        if old.peek().is_none() {
            return Ok(());
        }
        let logs = open(&self.directory, directory(), Mode::empty())?;
        let files = openat(&logs, lane, directory() | OFlags::NOFOLLOW, Mode::empty())?;
        for log in old {
            if let Some(name) = log.path().file_name() {
                unlinkat(&files, name, AtFlags::empty())?;
            }
        }
        // One that is not empty stays.
        let _ = unlinkat(&logs, lane, AtFlags::REMOVEDIR);
        Ok(())
    }
}

fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// The names of the real directories in this one; none if it is not there.
fn directories(path: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push(name);
        }
    }
    Ok(found)
}

/// Whether there is a real directory, not a link to one.
fn is_directory(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Ok(about) => Ok(about.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
