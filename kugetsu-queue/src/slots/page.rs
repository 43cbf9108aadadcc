//! A page of a file that is read without a system call: the only unsafe code of this crate.
//!
//! It is mapped to be read and never written: a write to a mapped page kills the process where the
//! file system has no room for it, or has become read-only, while `pwrite` returns an error. What can
//! still kill whoever reads it is that somebody cuts the file to nothing. Nothing of ours ever makes
//! one of these files shorter, and nobody else can open them.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags, mlock, mmap, munmap};

/// The first 4 KiB of a file, as they are now. Behind the file's end are zeros.
#[derive(Debug)]
pub(super) struct Page {
    start: NonNull<AtomicU64>,
}

// SAFETY: the page is only read, by atomic loads, and the mapping belongs to no thread.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// In words of 8 bytes.
    pub(super) const WORDS: usize = 512;

    const BYTES: usize = Self::WORDS * size_of::<AtomicU64>();

    /// That of the file, which must not be empty. An error where files cannot be mapped.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        // Whoever touches a page of which a file has nothing is killed.
        if file.metadata()?.len() == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap(ptr::null_mut(), Self::BYTES, ProtFlags::READ, MapFlags::SHARED, file, 0)
        }?;
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        let page = Self { start: start.cast() };
        // Stays in memory, so that no fault of the disk meets whoever reads it; a wish.
        // SAFETY: this is the mapping from above.
        let _ = unsafe { mlock(start.as_ptr(), Self::BYTES) };
        Ok(page)
    }

    /// The eight bytes at `8 * word`, the first of them lowest. What was written to the file before
    /// this process's last system call is seen.
    pub(super) fn word(&self, word: usize) -> u64 {
        assert!(word < Self::WORDS, "the page has no word {word}");
        fence(Ordering::SeqCst);
        // SAFETY: the word is within the mapping, which lives as long as `self` and begins at a page's
        // start, so that it is aligned. All accesses of this process are relaxed atomic loads, which
        // may be made of memory that cannot be written; others write through the kernel.
        let word = unsafe { self.start.add(word).as_ref() };
        u64::from_le(word.load(Ordering::Relaxed))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `of` made, and nothing refers to it any more.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), Self::BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_is_written_is_seen_also_where_the_file_grows() {
        let file = tempfile::tempfile().unwrap();
        assert!(Page::of(&file).is_err(), "there is nothing to read");
        file.write_all_at(b"a", 0).unwrap();
        let page = Page::of(&file).unwrap();
        assert_eq!((page.word(0), page.word(Page::WORDS - 1)), (u64::from(b'a'), 0));
        file.write_all_at(b"bc", 1).unwrap();
        file.write_all_at(b"z", 4088).unwrap();
        assert_eq!(page.word(0).to_le_bytes(), *b"abc\0\0\0\0\0");
        assert_eq!(page.word(Page::WORDS - 1), u64::from(b'z'));
    }
}
