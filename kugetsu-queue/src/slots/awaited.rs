//! Whether anybody waits for a place of a class, so that a release need not ring for nobody.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use super::lock;
use super::page::Page;

/// A file of two bytes, of which the second says it. The first is there so that the file can be
/// mapped before anybody has ever waited.
///
/// Only whoever is first in line writes the second byte. One that is killed leaves it as it is: then
/// releases ring for nobody until the next one has waited.
#[derive(Debug)]
pub(super) struct Awaited {
    file: File,
    page: OnceLock<Page>,
}

/// Somebody waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    awaited: &'a Awaited,
}

impl Awaited {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: lock::open_or_read(path)?, page: OnceLock::new() })
    }

    /// Says that somebody waits. Whoever looks for a free place after this and finds none is told of
    /// the next release.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.say(b'1');
        Waiting { awaited: self }
    }

    /// Whether somebody may wait; yes, where that cannot be known.
    pub(super) fn is_awaited(&self) -> bool {
        let page = match self.page.get() {
            Some(page) => page,
            None => match self.map() {
                Ok(page) => self.page.get_or_init(|| page),
                Err(_) => return true,
            },
        };
        page.word(0).to_le_bytes()[1] == b'1'
    }

    fn map(&self) -> io::Result<Page> {
        self.file.write_all_at(b".", 0)?;
        Page::of(&self.file)
    }

    // Where it cannot be written, the safety look makes up for it.
    fn say(&self, byte: u8) {
        let _ = self.file.write_all_at(&[byte], 1);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.awaited.say(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_awaited_as_long_as_somebody_waits_in_whatever_process() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("awaited");
        let (one, other) = (Awaited::open(&path).unwrap(), Awaited::open(&path).unwrap());
        assert!(!one.is_awaited());
        let waiting = other.wait();
        assert!(one.is_awaited() && other.is_awaited());
        drop(waiting);
        assert!(!one.is_awaited() && !other.is_awaited());
        // Of one that was killed it stays said, until the next one has waited.
        std::mem::forget(other.wait());
        assert!(one.is_awaited());
        drop(one.wait());
        assert!(!other.is_awaited());
    }
}
