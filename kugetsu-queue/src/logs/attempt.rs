//! The log of one attempt, while it is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kugetsu_core::{Happening, Task, Timestamp, WorkerId};

use super::utc;
use super::words::Words;
use crate::mask::Mask;

/// Writes down what happens in one attempt. What cannot be written is lost: the attempt goes on.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    path: PathBuf,
    writing: Mutex<Writing>,
}

#[derive(Debug)]
struct Writing {
    paper: Paper,
    words: Words,
    /// When something happened last.
    last: Timestamp,
    ended: bool,
}

impl AttemptLog {
    /// Begins it in this new, empty file.
    pub(super) fn begin(
        (file, path, cap): (File, PathBuf, u64),
        (task, worker): (&Task, &WorkerId),
        now: Timestamp,
        mask: Arc<Mask>,
    ) -> Self {
        let words = Words::new(mask);
        let mut paper = Paper { file, cap, size: 0, head: 0, marker: 0, dropped: 0 };
        let (id, attempt) = (task.id.to_string(), task.last_attempt().to_string());
        let heads = [
            ("task", id.as_str()),
            ("issue", &task.lane()),
            ("attempt", &attempt),
            ("worker", worker.as_str()),
            ("began", &utc::full(now)),
        ];
        let heads = heads.map(|(name, value)| words.head(name, value));
        paper.write(&heads);
        let writing = Writing { paper, words, last: now, ended: false };
        Self { path, writing: Mutex::new(writing) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down what has happened.
    pub(crate) fn tell(&self, at: Timestamp, what: &[Happening]) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let writing = &mut *writing;
        writing.last = at;
        let lines: Vec<String> =
            what.iter().flat_map(|what| writing.words.hear(at, what)).collect();
        writing.paper.write(&lines);
    }

    /// Writes down what kugetsu itself has to say.
    pub(crate) fn note(&self, at: Timestamp, what: &str) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = writing.words.rest();
        lines.push(writing.words.note(at, what));
        writing.paper.write(&lines);
    }

    /// Writes down how it ended. If that turns out to be wrong, the last word holds.
    pub(crate) fn end(&self, at: Timestamp, how: &str) {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).end(at, how);
    }
}

impl Drop for AttemptLog {
    fn drop(&mut self) {
        let writing = self.writing.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !writing.ended {
            writing.end(writing.last, "given up: whoever ran it was stopped");
        }
    }
}

impl Writing {
    fn end(&mut self, at: Timestamp, how: &str) {
        let mut lines = self.words.rest();
        lines.push(self.words.end(at, how));
        self.paper.write(&lines);
        self.ended = true;
    }
}

/// The file, which does not grow beyond its cap: then its middle is dropped.
#[derive(Debug)]
struct Paper {
    file: File,
    cap: u64,
    size: u64,
    /// Where the beginning ends that is never dropped: after a line in the first quarter of the cap.
    head: u64,
    /// How long the marker is that stands there once something was dropped.
    marker: u64,
    dropped: u64,
}

impl Paper {
    fn write(&mut self, lines: &[String]) {
        let mut text = String::new();
        for line in lines {
            text.push_str(line);
            text.push('\n');
            // So that no burst of lines is larger than the room for them.
            if length(&text) > self.cap / 8 {
                self.add(&std::mem::take(&mut text));
            }
        }
        self.add(&text);
    }

    fn add(&mut self, text: &str) {
        if self.size + length(text) > self.cap && self.drop_middle().is_err() {
            return;
        }
        if !text.is_empty() && self.file.write_all_at(text.as_bytes(), self.size).is_ok() {
            self.size += length(text);
            if self.size <= self.cap / 4 {
                self.head = self.size;
            }
        }
    }

    /// Keeps the beginning and the last quarter of the cap, each to a line's end, and says between
    /// them how much is gone. Killed in the middle of it, the file says some things twice.
    fn drop_middle(&mut self) -> io::Result<()> {
        let from = self.size.saturating_sub(self.cap / 4).max(self.head + self.marker);
        let mut tail = vec![0; usize::try_from(self.size - from).unwrap_or_default()];
        self.file.read_exact_at(&mut tail, from)?;
        let line = tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |end| end + 1);
        let tail = &tail[line..];
        let gone = self.size - self.head - self.marker - tail.len() as u64;
        self.dropped += gone;
        let marker = format!("[… {} bytes dropped …]\n", self.dropped);
        self.file.write_all_at(marker.as_bytes(), self.head)?;
        self.marker = length(&marker);
        self.file.write_all_at(tail, self.head + self.marker)?;
        self.size = self.head + self.marker + tail.len() as u64;
        self.file.set_len(self.size)
    }
}

fn length(text: &str) -> u64 {
    text.len() as u64
}
