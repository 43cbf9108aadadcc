//! The store in readable files: a journal is the truth, and the layout of the original is a view.
//!
//! ```text
//! <dir>/journal.jsonl        the truth: one line a change, `kugetsu.journal/1`
//! <dir>/journal.jsonl.lock   its kernel lock is held by whoever writes; says how far was written
//! <dir>/journal.jsonl.spare  the journal's second name, a hard link
//! <dir>/journal.jsonl.torn   the beginnings of lines whose writers died, kept for whoever asks
//! <dir>/journal.jsonl.view   up to which change the view was written
//! <dir>/index.json           the view: which session is in which file,
//! <dir>/sessions/*.json      the sessions,
//! <dir>/queue/items/q_*.json the tasks,
//! <dir>/notifications.json   and the newest notices
//! ```
//!
//! # Promises
//!
//! * What a call has written is there after a crash of the process, of the machine or of its power
//!   once the call has returned: it is one line, written at once and synced. A call that was
//!   interrupted has written all or nothing. Nothing that is read is lost by a crash either.
//! * Any number of processes may use the same directory at once, on a local file system. A write
//!   waits up to 10 s for another one's, then fails with [`Retry::Later`](kugetsu_core::Retry::Later).
//!   Whoever reads waits for nobody.
//! * Each line has a number and a checksum. One that was changed, or is missing in the middle, is an
//!   error that names file and line; it is never skipped. Only a line at the end without its line
//!   break is no error: its writer died, and told nobody that it was written. The next writer cuts it
//!   off and adds it to `journal.jsonl.torn`.
//! * A journal that was made and is gone, that ends before what was written, or that is an older one,
//!   is an error, and never taken for an empty store: the lock's file says how far was written. What
//!   it says is not synced, so that after the power was cut it may say less than what is there.
//!   Whoever restores an older journal on purpose moves the other files of its name away.
//! * [`care`] tells what is wrong, and makes a new journal of all that can be read.
//! * On a full disk a write fails, says so and leaves nothing behind. When the disk fails to sync, the
//!   store refuses everything until it is opened by another process.
//! * A journal of a newer format is refused, also when another process brings it to a newer format
//!   while it is open here.
//! * A future that is dropped half-way may still have written. Whoever must know reads again.
//!
//! A journal of more than 1 MiB, two thirds of which are outdated, is rewritten by whoever writes
//! next. Events and notices are kept for ever, and cursors stay as they are. Documents are kept as
//! they were written, with what this version does not know in them, until the same task or session
//! is written again.
//!
//! # The view
//!
//! It is for people and their scripts, and nothing reads it back: what is changed in it by hand
//! changes nothing and is overwritten. Each of its files says so by its first field,
//! `"view_of": "journal.jsonl"`. A file without that field in a place of the view's, such as the
//! original itself has left, is neither overwritten nor removed. The view is written after the
//! journal, by the same process; if that dies in between, whoever opens or writes next makes up for
//! it. A view that cannot be written fails nothing.

pub mod care;

mod book;
mod contents;
mod journal;
mod line;
mod mark;
mod memos;
mod notices;
mod record;
mod sessions;
mod state;
mod tasks;
mod view;

use std::path::{Path, PathBuf};

use kugetsu_core::StoreError;

use book::Book;

/// Tasks, events, sessions, notices and memos in a journal, with a view of it in readable files.
///
/// See the [module](self) for what it promises. All of what it holds but events and notices is in
/// memory, and opening it reads the whole journal. Its methods need a tokio runtime.
#[derive(Debug, Clone)]
pub struct JsonStore {
    book: Book,
}

impl JsonStore {
    /// Opens the store in this directory, or makes it there: files with mode 0600, and the directory
    /// with mode 0700 if there is none. A crash while it is made leaves none.
    pub async fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let book = Book::new(&directory.into());
        book.ready()
            .await
            .map_err(|fault| fault.into_store_error(book.path(), "open the store"))?;
        Ok(Self { book })
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        self.book.path()
    }
}
