//! A log that is read.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::{Attempt, TaskId, Timestamp};
use rustix::fs::OFlags;

use super::utc;
use super::words::ENDED;

/// How much of a log is read to sum it up, from its beginning and from its end.
const GLANCE: u64 = 8 * 1024;

/// The log of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFile {
    path: PathBuf,
    /// Its lane's name among the logs: an issue's stem, or `pm`.
    pub lane: String,
    /// The attempt's task.
    pub task: TaskId,
    /// Its number.
    pub attempt: Attempt,
    /// When it began, to the second.
    pub began: Timestamp,
}

/// What a log says at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSummary {
    /// The issue, or `pm`.
    pub issue: String,
    /// The agent session, if there was one.
    pub session: Option<String>,
    /// How the attempt ended; `None` if it goes on or its process was killed.
    pub ended: Option<String>,
    /// The last line before that about what the agent said or did, without its time.
    pub last: Option<String>,
}

pub(super) fn name(began: Timestamp, task: TaskId, attempt: Attempt) -> String {
    format!("{}-{task}-{attempt}.log", utc::name(began))
}

impl LogFile {
    /// The log of this name, if it is the name of one.
    pub(super) fn named(directory: &Path, lane: &str, name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let (began, rest) = text.strip_suffix(".log")?.split_once('-')?;
        let (task, attempt) = rest.rsplit_once('-')?;
        let found = Self {
            path: directory.join(name),
            lane: lane.to_owned(),
            task: task.parse().ok()?,
            attempt: Attempt(attempt.parse().ok()?),
            began: utc::of_name(began)?,
        };
        // Only what we would have named so ourselves.
        (self::name(found.began, found.task, found.attempt) == text).then_some(found)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for reading, at its beginning. Blocks, but never for long: what has become something
    /// else than a file, such as a link or a pipe, is an error.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&self.path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"))
    }

    /// Its last whole lines, of at most so many bytes together. Blocks.
    pub fn tail(&self, bytes: u64) -> io::Result<String> {
        let mut file = self.open()?;
        let size = file.metadata()?.len();
        let from = size.saturating_sub(bytes);
        // One byte before, to see whether a line begins there.
        file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
        let mut text = Vec::new();
        file.take(bytes + 1).read_to_end(&mut text)?;
        let begin = match text.iter().position(|byte| *byte == b'\n') {
            Some(end) if from > 0 => end + 1,
            None if from > 0 => text.len(),
            _ => 0,
        };
        Ok(String::from_utf8_lossy(&text[begin..]).into_owned())
    }

    /// What it says at a glance. Blocks.
    pub fn summary(&self) -> io::Result<LogSummary> {
        let mut head = Vec::new();
        self.open()?.take(GLANCE).read_to_end(&mut head)?;
        let mut summary = LogSummary::default();
        for line in String::from_utf8_lossy(&head).lines().take_while(|line| is_head(line)) {
            match line.split_once(' ').map(|(name, value)| (name, value.trim())) {
                Some(("issue", issue)) => issue.clone_into(&mut summary.issue),
                Some(("session", session)) => {
                    let id = session.split(' ').next().unwrap_or_default();
                    summary.session = Some(id.to_owned());
                }
                _ => {}
            }
        }
        let tail = self.tail(GLANCE)?;
        let mut lines = tail.lines().filter(|line| !is_head(line)).filter_map(without_time);
        let mut last = lines.next_back();
        while let Some(how) = last.and_then(|line| line.strip_prefix(ENDED)) {
            summary.ended.get_or_insert(how.trim().to_owned());
            last = lines.next_back();
        }
        let tells = |line: &&str| !line.starts_with("used ");
        let last = last.filter(tells).or_else(|| lines.rev().find(tells));
        summary.last = last.map(str::to_owned);
        Ok(summary)
    }
}

impl Ord for LogFile {
    /// The later, the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |log: &Self| (log.began, log.task, log.attempt);
        order(self).cmp(&order(other)).then_with(|| self.path.cmp(&other.path))
    }
}

impl PartialOrd for LogFile {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A line in front of what the agent says and does: no time stands before it.
fn is_head(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_lowercase())
}

fn without_time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_at_checked(8)?;
    let is_time = time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    is_time.then(|| rest.trim_start())
}
