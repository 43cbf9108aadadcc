//! Looking after the journal: what is the matter with it, and mending that without losing anything.
//!
//! Everything here blocks the thread, and works on a journal that [`JsonStore`](super::JsonStore)
//! refuses to open.

mod remains;
mod salvage;

use std::fs;
use std::path::{Path, PathBuf};

use kugetsu_core::StoreError;
use serde::Serialize;

pub use salvage::salvage;

use super::book::{Book, GONE, Open};
use super::journal::{beside, torn_of};
use super::mark;
use crate::care::FileFault;
use crate::fault::Fault;
use crate::slots::KernelLock;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Examined {
    /// What is the matter with the journal.
    pub fault: Option<FileFault>,
    /// How many bytes stand at its end of a line whose writer died, which nobody was told to be
    /// written. Whoever writes next, or [`cut`], moves them to where they are kept.
    pub torn: u64,
    /// Where such bytes are kept, if there were some.
    pub kept: Option<PathBuf>,
}

/// Looks at the store in this directory and changes nothing. A store that was never made is in
/// order.
pub fn examine(directory: &Path) -> Examined {
    let book = Book::new(directory);
    let path = book.path();
    let kept = Some(torn_of(path)).filter(|kept| kept.symlink_metadata().is_ok());
    let looked = match path.try_exists() {
        Ok(true) => book.look().and_then(|open| torn(path, &open)),
        Ok(false) if mark::was_made(path) => {
            return Examined { fault: Some(FileFault::Gone), torn: 0, kept };
        }
        Ok(false) => Ok(0),
        Err(error) => Err(error.into()),
    };
    match looked {
        Ok(torn) => Examined { fault: None, torn, kept },
        Err(fault) => Examined { fault: Some(fault.into_file_fault()), torn: 0, kept },
    }
}

/// Cuts off the beginning of a line whose writer died, and keeps it in the file that this returns.
pub fn cut(directory: &Path) -> Result<PathBuf, StoreError> {
    let book = Book::new(directory);
    let cut = || {
        if !book.path().try_exists()? {
            return Err(Fault::Damaged(GONE.into()));
        }
        let _turn = book.turn()?;
        book.look()?.journal.cut()?;
        Ok(torn_of(book.path()))
    };
    cut().map_err(|fault: Fault| fault.into_store_error(book.path(), "cut off half a line"))
}

/// How much of a line is at the end that nobody goes on to write.
fn torn(path: &Path, open: &Open) -> Result<u64, Fault> {
    let rest = open.journal.rest()?;
    if rest.is_empty() {
        return Ok(0);
    }
    // Who holds the lock may be writing just that.
    let Some(mut lock) = KernelLock::find(&beside(path, ".lock"))? else {
        return Ok(rest.len() as u64);
    };
    if !lock.try_take()? {
        return Ok(0);
    }
    let is_the_same = fs::metadata(path)?.len() == open.journal.end + rest.len() as u64;
    lock.release()?;
    Ok(if is_the_same { rest.len() as u64 } else { 0 })
}
