//! How many places of a class any process has ever used.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use super::SlotLimits;
use super::lock;
use super::page::Page;

/// A file with a byte for each place, so that its size is the number. It is read in memory where it
/// can be mapped.
#[derive(Debug)]
pub(super) struct Extent {
    file: File,
    page: OnceLock<Page>,
}

impl Extent {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: lock::open_or_read(path)?, page: OnceLock::new() })
    }

    /// Says that the place is used from now on.
    pub(super) fn use_place(&self, index: u32) -> io::Result<()> {
        self.file.write_all_at(b".", u64::from(index))
    }

    /// How many there are, if they are more than `known`; otherwise `known` or fewer.
    pub(super) fn beyond(&self, known: u32) -> io::Result<u32> {
        let page = match self.page.get() {
            Some(page) => page,
            None => match Page::of(&self.file) {
                Ok(page) => self.page.get_or_init(|| page),
                Err(_) => return self.len(),
            },
        };
        let first = known.min(SlotLimits::MOST) as usize / 8;
        for word in (first..SlotLimits::MOST as usize / 8).rev() {
            let bytes = page.word(word);
            if bytes != 0 {
                let last = 8 - bytes.leading_zeros() / 8;
                return Ok(u32::try_from(word).unwrap_or(u32::MAX) * 8 + last);
            }
        }
        Ok(known)
    }

    /// How many there are.
    pub(super) fn len(&self) -> io::Result<u32> {
        let length = self.file.metadata()?.len();
        Ok(u32::try_from(length).unwrap_or(u32::MAX).min(SlotLimits::MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_number_of_places_that_anybody_has_ever_used() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("extent");
        let (one, other) = (Extent::open(&path).unwrap(), Extent::open(&path).unwrap());
        assert_eq!((one.beyond(3).unwrap(), one.len().unwrap()), (0, 0));
        for (place, extent) in [(0, 1), (7, 8), (5, 8), (8, 9), (1023, 1024)] {
            one.use_place(place).unwrap();
            assert_eq!((other.beyond(0).unwrap(), other.len().unwrap()), (extent, extent));
            assert_eq!(other.beyond(extent - 1).unwrap(), extent);
            assert!(other.beyond(extent).unwrap() <= extent);
        }
    }
}
