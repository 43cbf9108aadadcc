//! How far the journal was written, in a file of its own.
//!
//! ```text
//! A journal was made here. Generation 00000000000000000000, record 00000000000000000042, sum 0a1b2c3d
//! ```
//!
//! It is the lock's file, so that no other is opened for it. It is written after each record, once
//! that is on the disk, and is not synced itself: what it says is never more than what is there.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::journal::{Journal, beside};
use super::line::crc;
use crate::slots::KernelLock;

/// What is known of the journal that has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) generation: u64,
    /// The last record.
    pub(super) seq: u64,
}

impl Mark {
    /// As far as this journal was read or written.
    pub(super) fn of(journal: &Journal) -> Self {
        Self { generation: journal.generation, seq: journal.seq }
    }

    /// What was marked at last; `None` if nothing was, or it makes no sense.
    pub(super) fn read(path: &Path) -> Option<Self> {
        // Whoever writes it meanwhile has done so by the next time.
        (0..3).find_map(|_| Self::parse(&fs::read(beside(path, ".lock")).ok()?))
    }

    /// Remembers this. If that fails, less is noticed.
    pub(super) fn write(self, lock: &KernelLock) {
        let _ = lock.file().write_all_at(self.text().as_bytes(), 0);
    }

    /// What is missing of the journal, in words; `None` if nothing is.
    pub(super) fn missing(self, journal: &Journal) -> Option<String> {
        if self.generation > journal.generation {
            return Some("it is an older one, from before it was rewritten".into());
        }
        let is_short = self.generation == journal.generation && self.seq > journal.seq;
        let (found, written) = (journal.seq, self.seq);
        is_short.then(|| format!("it ends with record {found}, and {written} were written"))
    }

    fn text(self) -> String {
        let Self { generation, seq } = self;
        let said =
            format!("A journal was made here. Generation {generation:020}, record {seq:020}");
        format!("{said}, sum {:08x}\n", crc(&[said.as_bytes()]))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let number = |name: &str| text.split_once(name)?.1.get(..20)?.parse().ok();
        let mark = Self { generation: number("Generation ")?, seq: number("record ")? };
        (mark.text() == text).then_some(mark)
    }
}

/// Whether a journal was ever made at `path`: something beside it says so.
pub(super) fn was_made(path: &Path) -> bool {
    fs::metadata(beside(path, ".lock")).is_ok_and(|lock| lock.len() > 0)
        || fs::symlink_metadata(beside(path, ".spare")).is_ok()
        || fs::symlink_metadata(beside(path, ".view")).is_ok()
}

/// Nothing is known any more.
pub(super) fn forget(lock: &KernelLock) -> io::Result<()> {
    lock.file().set_len(0)
}
