//! The daemon's log file, which does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

/// The size at which a new file is begun.
const MOST: u64 = 4 * 1024 * 1024;

/// How many old files are kept.
const KEPT: u32 = 3;

/// The log: `daemon.log`, and before it `daemon.log.1` to `daemon.log.3`.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Mutex<File>,
}

impl Log {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = Mutex::new(append(&path)?);
        Ok(Self { path, file })
    }

    /// Adds a line. What cannot be written is lost: the queue goes on.
    pub(super) fn line(&self, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata().is_ok_and(|about| about.len() > MOST)
            && let Ok(next) = self.rotate()
        {
            *file = next;
        }
        let _ = file.write_all(format!("{line}\n").as_bytes());
    }

    fn rotate(&self) -> io::Result<File> {
        for number in (1..KEPT).rev() {
            let _ = fs::rename(old(&self.path, number), old(&self.path, number + 1));
        }
        fs::rename(&self.path, old(&self.path, 1))?;
        append(&self.path)
    }
}

fn old(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The file, to be added to. A link is not followed, and nothing is waited for.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits());
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.map_err(io::Error::other)?)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it is no file"))
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Log, MOST, old};

    #[test]
    fn the_log_begins_a_new_file_when_it_is_full_and_keeps_the_last_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("daemon.log");
        let log = Log::open(path.clone()).unwrap();
        let line = "x".repeat(256 * 1024);
        let whole = usize::try_from(MOST).unwrap() / line.len();
        for number in 0..7 * whole {
            log.line(&format!("{number} {line}"));
        }
        let mut names: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]);
        let first = |path: &std::path::Path| -> usize {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.len() <= usize::try_from(MOST).unwrap() + line.len() + 20);
            text.split(' ').next().unwrap().parse().unwrap()
        };
        let mut firsts: Vec<usize> =
            (1..=KEPT).rev().map(|number| first(&old(&path, number))).collect();
        firsts.push(first(&path));
        assert!(firsts.is_sorted_by(|a, b| a < b), "no line is lost between them: {firsts:?}");
    }
}
