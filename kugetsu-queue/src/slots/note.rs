//! What a slot's file says about who took it last.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::UNIX_EPOCH;

use kugetsu_core::Timestamp;
use serde::Deserialize;

use super::process::Process;

/// The most that is kept of a holder's words, in bytes.
const WORDS: usize = 32 * 1024;

/// The longest note, in bytes: JSON needs six for some characters.
const NOTE: u64 = 200 * 1024;

/// Who took a slot, as one line of JSON. It holds only as long as the lock is held: nobody wipes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Note {
    pub(super) holder: String,
    pub(super) by: Process,
}

/// Writes this process's notes. What is the same in all of them is put together once.
#[derive(Debug)]
pub(super) struct Pen {
    end: Vec<u8>,
    line: Vec<u8>,
}

impl Pen {
    pub(super) fn new() -> io::Result<Self> {
        let mut end = b",\"by\":".to_vec();
        serde_json::to_writer(&mut end, &Process::own())?;
        end.extend_from_slice(b"}\n");
        Ok(Self { end, line: Vec::new() })
    }

    /// Writes a note over what was there.
    pub(super) fn write(&mut self, holder: &str, file: &File) -> io::Result<()> {
        self.line.clear();
        self.line.extend_from_slice(b"{\"holder\":");
        serde_json::to_writer(&mut self.line, &holder[..holder.floor_char_boundary(WORDS)])?;
        self.line.extend_from_slice(&self.end);
        file.write_all_at(&self.line, 0)
    }
}

impl Note {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_whatever_was_there() {
        let file = tempfile::tempfile().unwrap();
        let mut pen = Pen::new().unwrap();
        for holder in ["a \"quoted\" one\nin two lines", &"ü".repeat(WORDS), "", "short"] {
            pen.write(holder, &file).unwrap();
            let (note, since) = Note::read(&file).unwrap();
            assert_eq!((note.by, since.is_some()), (Process::own(), true));
            assert!(holder.starts_with(&note.holder));
            assert_eq!(note.holder.len(), holder.len().min(WORDS));
        }
    }
}
