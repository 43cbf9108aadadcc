//! What can still be read of a journal, however it is damaged.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::super::journal::Journal;
use super::super::line;
use super::super::mark::Mark;
use super::super::state::{Span, State};
use crate::fault::Fault;

/// The lines of a file that match their checksums.
#[derive(Debug)]
pub(super) struct Remains {
    file: File,
    /// What the first line says, if it can be read.
    pub(super) generation: Option<u64>,
    /// The records by their numbers, each number once.
    records: Vec<(u64, Span)>,
    /// How many lines are none.
    broken: u64,
}

/// What the remains say.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) state: State,
    /// Which records are missing, and how many events there were before each.
    pub(super) gaps: Vec<Gap>,
}

/// Records that are missing in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) first: u64,
    pub(super) last: u64,
    /// How many events the records before it have.
    pub(super) events: usize,
}

impl Gap {
    /// How many records it is.
    pub(super) fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Remains {
    /// Finds what can be read of the file; `None` if there is none.
    pub(super) fn find(path: &Path) -> Result<Option<Self>, Fault> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut remains = Self { file, generation: None, records: Vec::new(), broken: 0 };
        let mut reader = BufReader::with_capacity(1 << 16, remains.file.try_clone()?);
        let (mut at, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                break;
            }
            let is_ended = line.pop_if(|last| *last == b'\n').is_some();
            if let Some((seq, inside, record)) = line::any_record(&line) {
                let span = Span { at: at + inside as u64, length: record.len() };
                remains.records.push((seq, span));
            } else if at == 0 {
                match line::generation(&line) {
                    Ok(generation) => remains.generation = Some(generation),
                    Err(newer @ Fault::Newer { .. }) => return Err(newer),
                    Err(_) => {}
                }
            } else if is_ended {
                // One without an end was told to nobody.
                remains.broken += 1;
            }
            at += length;
        }
        remains.records.sort_by_key(|(seq, _)| *seq);
        remains.records.dedup_by_key(|(seq, _)| *seq);
        Ok(Some(remains))
    }

    /// How much there is, to be compared with that of another file.
    pub(super) fn weight(&self) -> (u64, usize) {
        let records = self.records.len();
        // Whose first line is damaged is hardly an older one.
        (if records == 0 { 0 } else { self.generation.unwrap_or(u64::MAX) }, records)
    }

    /// What it says, and what is missing.
    pub(super) fn read(&self, mark: Option<Mark>) -> Result<Read, Fault> {
        let mut read = Read { state: State::of_remains(), gaps: Vec::new() };
        let mut next = 1;
        for (seq, span) in &self.records {
            read.miss(next, *seq);
            let mut text = vec![0; span.length];
            self.file.read_exact_at(&mut text, span.at)?;
            let is_read = std::str::from_utf8(&text)
                .is_ok_and(|text| read.state.apply(*seq, text, span.at).is_ok());
            if !is_read {
                read.miss(*seq, seq.saturating_add(1));
            }
            next = seq.saturating_add(1);
        }
        let missed: u64 = read.gaps.iter().map(|gap| gap.count()).sum();
        let of_this = |mark: &Mark| self.generation.is_none_or(|found| found == mark.generation);
        let written = mark.filter(of_this).map_or(0, |mark| mark.seq);
        read.miss(next, (written + 1).max(next + self.broken.saturating_sub(missed)));
        Ok(read)
    }

    /// As a journal whose documents can be read.
    pub(super) fn into_journal(self, path: &Path) -> Journal {
        Journal::of_remains(path, self.file)
    }
}

impl Read {
    /// Notes that the records from the one up to the other are missing.
    fn miss(&mut self, first: u64, end: u64) {
        if first < end {
            let events = self.state.events.len();
            match self.gaps.last_mut() {
                Some(gap) if gap.last + 1 == first => gap.last = end - 1,
                _ => self.gaps.push(Gap { first, last: end - 1, events }),
            }
        }
    }
}
