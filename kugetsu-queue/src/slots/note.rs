//! What a slot's file says about who took it last.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use kugetsu_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// The most that is kept of a holder's words, in bytes.
const WORDS: usize = 32 * 1024;

/// The longest note, in bytes: JSON needs six for some characters.
const NOTE: u64 = 200 * 1024;

/// Who took a slot, as one line of JSON. It holds only as long as the lock is held: nobody wipes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) holder: String,
    pub(super) by: Process,
}

impl Note {
    pub(super) fn new(holder: &str) -> Self {
        let mut end = holder.len().min(WORDS);
        while !holder.is_char_boundary(end) {
            end -= 1;
        }
        Self { holder: holder[..end].to_owned(), by: Process::own() }
    }

    /// Writes the note over what was there.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all_at(&line, 0)
    }

    /// The note, and when it was written; `None` if there is none that can be read.
    pub(super) fn read(file: &File) -> Option<(Self, Option<Timestamp>)> {
        let about = file.metadata().ok()?;
        let mut text = vec![0; usize::try_from(about.len().min(NOTE)).ok()?];
        file.read_exact_at(&mut text, 0).ok()?;
        let line = text.split(|byte| *byte == b'\n').next()?;
        let note = serde_json::from_slice(line).ok()?;
        // The kernel's time of the write, so that no clock is needed to take a slot.
        let since = about
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .map(Timestamp::from_millis);
        Some((note, since))
    }
}
