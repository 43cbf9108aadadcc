//! The journal's file: made, read on, appended to.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line;
use super::state::Span;
use crate::fault::Fault;

/// The file, read up to some record.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Device and inode: another file in its place is another journal.
    identity: (u64, u64),
    pub(super) generation: u64,
    /// How many records were read.
    pub(super) seq: u64,
    /// Where the last of them ends.
    pub(super) end: u64,
}

/// What an append that failed has left.
#[derive(Debug)]
pub(super) enum AppendFault {
    /// Nothing: the journal is as it was.
    Nothing(Fault),
    /// Nobody knows what is on the disk.
    Unknown(Fault),
}

impl Journal {
    /// Opens the journal at `path`. None of its records is read yet.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(|error| {
                match error.kind() {
                    io::ErrorKind::NotFound => {
                        let gone = "it is not there any more: it was moved away, or deleted";
                        io::Error::new(io::ErrorKind::NotFound, gone)
                    }
                    _ => error,
                }
            })?;
        let about = file.metadata()?;
        let mut first = Vec::new();
        // A file that is no journal may have one endless line.
        BufReader::new(&file).take(200).read_until(b'\n', &mut first)?;
        let end = first.len() as u64;
        if first.pop() != Some(b'\n') {
            first.clear();
        }
        let generation = line::generation(&first)?;
        // Whoever has put the file here may have died before its name was on the disk.
        sync_directory(path)?;
        let identity = (about.dev(), about.ino());
        Ok(Self { path: path.to_owned(), file, identity, generation, seq: 0, end })
    }

    /// A file of which single documents are read, and nothing else.
    pub(super) fn of_remains(path: &Path, file: File) -> Self {
        Self { path: path.to_owned(), file, identity: (0, 0), generation: 0, seq: 0, end: 0 }
    }

    /// Whether there is another file in its place by now.
    pub(super) fn is_replaced(&self) -> io::Result<bool> {
        let about = fs::metadata(&self.path)?;
        Ok((about.dev(), about.ino()) != self.identity)
    }

    /// Reads the records that were appended since, each with its number and where its text begins.
    /// What is told is on the disk. The beginning of a record that is not whole is left alone.
    pub(super) fn read_on(
        &mut self,
        mut each: impl FnMut(u64, &str, u64) -> Result<(), String>,
    ) -> Result<(), ReadFault> {
        let length = self.file.metadata()?.len();
        if length < self.end {
            let what = format!("it has {length} bytes, and had {} before", self.end);
            return Err(Fault::Damaged(what).into());
        }
        if length == self.end {
            return Ok(());
        }
        // Its writer may still wait for the disk, or have died before it did.
        self.file.sync_data().map_err(ReadFault::Unsynced)?;
        (&self.file).seek(SeekFrom::Start(self.end))?;
        // What comes after these bytes is not known to be on the disk.
        let mut reader = BufReader::with_capacity(1 << 16, (&self.file).take(length - self.end));
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                return Ok(());
            }
            let seq = self.seq + 1;
            let wrong = |why| Fault::Damaged(format!("line {}: {why}", seq + 1));
            let record = line::record(&line, seq).map_err(wrong)?;
            each(seq, record, self.end + line::record_at(seq) as u64).map_err(wrong)?;
            self.seq = seq;
            self.end += length as u64;
        }
    }

    /// What stands behind the last record: nothing, or the beginning of one whose writer has died or
    /// goes on to write it.
    pub(super) fn rest(&self) -> Result<Vec<u8>, Fault> {
        let length = self.file.metadata()?.len();
        let mut rest =
            vec![0; usize::try_from(length.saturating_sub(self.end)).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut rest, self.end)?;
        if rest.split_last().is_some_and(|(_, line)| line::is_whole(line)) {
            let line = self.seq + 2;
            return Err(Fault::Damaged(format!("line {line}: its line break was overwritten")));
        }
        Ok(rest)
    }

    /// Cuts off the beginning of a record whose writer has died, and keeps it in a file beside.
    /// Only for whoever holds the lock and has read on.
    pub(super) fn cut(&mut self) -> Result<(), Fault> {
        if self.file.metadata()?.len() == self.end {
            return Ok(());
        }
        let mut torn = self.rest()?;
        let mut aside = private().append(true).open(torn_of(&self.path))?;
        // What was kept there before stays.
        if aside.metadata()?.len() > 0 {
            torn.insert(0, b'\n');
        }
        aside.write_all(&torn)?;
        aside.sync_all()?;
        self.file.set_len(self.end)?;
        Ok(())
    }

    /// Where the text of the next record will begin.
    pub(super) fn next_at(&self) -> u64 {
        self.end + line::record_at(self.seq + 1) as u64
    }

    /// Appends the record, which is on the disk when this returns. Only for whoever holds the lock
    /// and has [cut](Self::cut).
    pub(super) fn append(&mut self, record: &str) -> Result<(), AppendFault> {
        let line = line::of(self.seq + 1, record);
        if let Err(error) = self.file.write_all_at(line.as_bytes(), self.end) {
            // If this fails, too, the next one cuts it off.
            let _ = self.file.set_len(self.end);
            return Err(AppendFault::Nothing(error.into()));
        }
        self.file.sync_data().map_err(|error| AppendFault::Unknown(error.into()))?;
        self.seq += 1;
        self.end += line.len() as u64;
        Ok(())
    }

    /// The document that stands there.
    pub(super) fn document(&self, span: Span) -> Result<String, Fault> {
        let mut text = vec![0; span.length];
        self.file.read_exact_at(&mut text, span.at)?;
        String::from_utf8(text)
            .map_err(|_| Fault::Damaged(format!("what stands at byte {} is not UTF-8", span.at)))
    }
}

/// Why the journal could not be read on.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// What was read may not be on the disk, and never come there.
    Unsynced(io::Error),
    Other(Fault),
}

impl From<Fault> for ReadFault {
    fn from(fault: Fault) -> Self {
        Self::Other(fault)
    }
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        Self::Other(error.into())
    }
}

/// Makes a journal of these records at `path`, or replaces the one that is there, as a whole, and
/// returns how many they are. Only for whoever holds the lock.
pub(super) fn write(
    path: &Path,
    generation: u64,
    records: impl Iterator<Item = Result<String, Fault>>,
) -> Result<u64, Fault> {
    let unfinished = beside(path, ".new");
    let mut last = 0;
    let result: Result<(), Fault> = (|| {
        let mut file = io::BufWriter::new(private().truncate(true).open(&unfinished)?);
        file.write_all(line::header(generation).as_bytes())?;
        for (seq, record) in (1..).zip(records) {
            file.write_all(line::of(seq, &record?).as_bytes())?;
            last = seq;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&unfinished, path)?;
        Ok(())
    })();
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result?;
    sync_directory(path)?;
    Ok(last)
}

/// Gives the journal another name.
pub(super) fn rename(path: &Path, to: &Path) -> Result<(), Fault> {
    fs::rename(path, to)?;
    sync_directory(path)
}

/// The journal's second name, a hard link: whoever removes the journal has it there still. One that
/// cannot be made fails nothing.
pub(super) fn spare(path: &Path) -> PathBuf {
    beside(path, ".spare")
}

/// Whether the second name is the journal's.
pub(super) fn has_spare(path: &Path) -> bool {
    let identity = |path: &Path| fs::symlink_metadata(path).map(|about| (about.dev(), about.ino()));
    matches!((identity(path), identity(&spare(path))), (Ok(one), Ok(other)) if one == other)
}

/// Gives the journal its second name.
pub(super) fn make_spare(path: &Path) {
    if !has_spare(path) {
        let _ = fs::remove_file(spare(path));
        let _ = fs::hard_link(path, spare(path));
    }
}

/// Makes the directory of `path`, open to its owner only, if there is none.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    let directory = directory_of(path);
    if !directory.try_exists()? {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    Ok(())
}

/// Where the beginnings of lines are kept whose writers died.
pub(super) fn torn_of(path: &Path) -> PathBuf {
    beside(path, ".torn")
}

fn sync_directory(path: &Path) -> Result<(), Fault> {
    File::open(directory_of(path))?.sync_all()?;
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_told_from_a_failed_write() {
        // It takes what is written, and cannot be synced.
        let file = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let path = PathBuf::from("/dev/null");
        let mut journal = Journal { path, file, identity: (0, 0), generation: 0, seq: 0, end: 0 };
        assert!(matches!(journal.append("{}"), Err(AppendFault::Unknown(_))));
        journal.file = File::open("/dev/null").unwrap();
        assert!(matches!(journal.append("{}"), Err(AppendFault::Nothing(_))));
    }
}
