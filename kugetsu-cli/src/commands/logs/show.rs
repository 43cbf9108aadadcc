//! One log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use kugetsu_queue::LogFile;

use super::Whose;
use crate::errors::CliError;
use crate::screen::{Screen, escape};
use crate::setup::Setup;

pub(super) fn show(whose: &Whose, lines: Option<usize>, setup: &Setup) -> Result<(), CliError> {
    match whose.logs(&setup.logs()?)?.first() {
        Some(log) => Page::open(log)?.last(lines, setup.screen()),
        None => Err(none(whose)),
    }
}

pub(super) fn none(whose: &Whose) -> CliError {
    CliError::failed(format!("there is no log of {whose}"))
        .hint("`kugetsu logs` lists the last ones; old ones are deleted")
}

/// A log that is being read, whole line by whole line.
pub(super) struct Page<'a> {
    log: &'a LogFile,
    file: BufReader<File>,
    /// So many bytes of it were read.
    pub(super) read: u64,
}

impl<'a> Page<'a> {
    pub(super) fn open(log: &'a LogFile) -> Result<Self, CliError> {
        let file = log.open().map_err(|error| Self::told(log, &error))?;
        Ok(Self { log, file: BufReader::new(file), read: 0 })
    }

    fn told(log: &LogFile, error: &io::Error) -> CliError {
        CliError::io(format_args!("read {}", log.path().display()), error)
    }

    /// Shows what was not read yet, or only the last so many lines of it.
    pub(super) fn last(&mut self, lines: Option<usize>, screen: &Screen) -> Result<(), CliError> {
        let mut kept = VecDeque::new();
        while let Some(line) = self.next().map_err(|error| Self::told(self.log, &error))? {
            match lines {
                None => screen.say(line)?,
                Some(lines) => {
                    kept.push_back(line);
                    if kept.len() > lines {
                        kept.pop_front();
                    }
                }
            }
        }
        kept.into_iter().try_for_each(|line| screen.say(line))
    }

    /// Shows what was added after its first `read` bytes.
    pub(super) fn rest(&mut self, read: u64, screen: &Screen) -> Result<(), CliError> {
        let told = |error: io::Error| Self::told(self.log, &error);
        let size = self.file.get_ref().metadata().map_err(told)?.len();
        if size < read {
            // Its middle was dropped meanwhile.
            screen.say("[…]")?;
        }
        self.read = read.min(size);
        let at = SeekFrom::Start(self.read);
        self.file.seek(at).map_err(|error| Self::told(self.log, &error))?;
        self.last(None, screen)
    }

    /// The next line that is complete, with nothing in it that acts on a terminal.
    fn next(&mut self) -> io::Result<Option<String>> {
        /// No line of ours is longer.
        const MOST: u64 = 64 * 1024;
        let mut line = Vec::new();
        let read = self.file.by_ref().take(MOST).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok(None);
        }
        self.read += read as u64;
        Ok(Some(escape::text(&String::from_utf8_lossy(&line))))
    }
}
