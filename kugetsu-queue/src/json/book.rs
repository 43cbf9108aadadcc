//! The journal with what it says, used from async code and beside other processes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::contents;
use super::journal::{self, AppendFault, Journal, ReadFault, beside};
use super::state::State;
use super::view::View;
use crate::blocking::blocking;
use crate::fault::Fault;
use crate::slots::KernelLock;

/// How long a call waits for another process's write.
const PATIENCE: Duration = Duration::from_secs(10);

/// A journal below this length is never rewritten.
const SHORT: u64 = 1 << 20;

/// The journal, opened when it is first used. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Book {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    view: View,
    /// Held by whoever writes, in this process and by the kernel in all. Taken before `open`.
    lock: Mutex<Option<KernelLock>>,
    open: Mutex<Option<Open>>,
    opened: AtomicBool,
    /// A failed fsync is never tried again: the kernel may have dropped what it could not write and
    /// would then report success.
    unsynced: AtomicBool,
}

/// The journal as far as it was read, and what it says so far.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) journal: Journal,
    pub(super) state: State,
    /// At which length it is to be seen whether the journal has to be rewritten.
    weigh: u64,
}

impl Book {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: directory.join("journal.jsonl"),
                view: View::new(directory),
                lock: Mutex::default(),
                open: Mutex::default(),
                opened: AtomicBool::new(false),
                unsynced: AtomicBool::new(false),
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Opens the journal, or makes it, and mends the view if somebody died before it was written.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let is_current = shared.read(|open| Ok(shared.view.is_current(open)))?;
            if !is_current && let Some(_turn) = shared.turn(Duration::ZERO)? {
                shared.read(|open| {
                    shared.view.write(open);
                    Ok(())
                })?;
            }
            Ok(())
        })
        .await
    }

    /// Asks what the journal says by now.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Open) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.read(work)).await
    }

    /// Decides by what the journal says, and appends what was decided if it is something. That is on
    /// the disk when this returns a success, and has never been written when it returns a fault,
    /// unless the disk itself has failed.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Open) -> Result<(Option<String>, T), Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.write(work)).await
    }

    /// Lets nobody write while `work` does something with what the journal says. When it succeeds,
    /// the journal is put aside under this name, and its view is removed.
    pub(super) async fn hand_over<T, E, F>(
        &self,
        suffix: &str,
        work: F,
    ) -> Result<Result<(T, PathBuf), E>, Fault>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Open) -> Result<Result<T, E>, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let aside = beside(&shared.path, suffix);
        blocking(move || {
            shared.make()?;
            let Some(_turn) = shared.turn(PATIENCE)? else { return Err(busy()) };
            let mut place = shared.place()?;
            let open = shared.current(&mut place)?;
            open.journal.cut()?;
            Fault::must_be_free(&aside)?;
            let done = match work(open)? {
                Ok(done) => done,
                Err(error) => return Ok(Err(error)),
            };
            journal::rename(&shared.path, &aside)?;
            shared.view.remove();
            *place = None;
            Ok(Ok((done, aside)))
        })
        .await
    }

    /// Makes a journal of these records, unless there is one.
    pub(super) fn make(
        &self,
        records: impl Iterator<Item = Result<String, Fault>>,
    ) -> Result<bool, Fault> {
        self.shared.make_with(records)
    }
}

impl Shared {
    fn read<T>(&self, work: impl FnOnce(&Open) -> Result<T, Fault>) -> Result<T, Fault> {
        self.make()?;
        let mut place = self.place()?;
        work(self.current(&mut place)?)
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Open) -> Result<(Option<String>, T), Fault>,
    ) -> Result<T, Fault> {
        self.make()?;
        let Some(_turn) = self.turn(PATIENCE)? else { return Err(busy()) };
        let mut place = self.place()?;
        let open = self.current(&mut place)?;
        open.journal.cut()?;
        let (record, done) = work(open)?;
        let Some(record) = record else { return Ok(done) };
        let was_current = self.view.is_current(open);
        // First of all, so that nothing is ever written that could not be read.
        let (seq, at) = (open.journal.seq + 1, open.journal.next_at());
        let changed = open.state.apply(seq, &record, at).map_err(Fault::Refused)?;
        if let Err(fault) = open.journal.append(&record) {
            // It says what is not written.
            *place = None;
            return Err(match fault {
                AppendFault::Nothing(fault) => fault,
                AppendFault::Unknown(fault) => {
                    self.unsynced.store(true, Ordering::Release);
                    fault
                }
            });
        }
        if was_current {
            self.view.update(open, &changed);
        } else {
            self.view.write(open);
        }
        self.rewrite(&mut place);
        Ok(done)
    }

    /// Rewrites the journal without what is not needed any more, if that is most of it. One that
    /// cannot be rewritten goes on growing.
    fn rewrite(&self, place: &mut Option<Open>) {
        let Some(open) = place else { return };
        if open.journal.end < open.weigh {
            return;
        }
        open.weigh = SHORT.max(3 * open.state.lives());
        if open.journal.end < open.weigh {
            return;
        }
        let is_current = self.view.is_current(open);
        let generation = open.journal.generation + 1;
        let written = contents::rewritten(open).and_then(|records| {
            journal::write(&self.path, generation, records.into_iter().map(Ok))
        });
        if written.is_ok()
            && let Ok(open) = self.current(place)
            && is_current
        {
            self.view.mark(open);
        }
    }

    /// The journal, read up to its end. What cannot be read on stays where it was, so that the next
    /// call is told the same.
    fn current<'a>(&self, place: &'a mut Option<Open>) -> Result<&'a mut Open, Fault> {
        if place.as_ref().is_some_and(|open| open.journal.is_replaced().unwrap_or(true)) {
            *place = None;
        }
        let open = if let Some(open) = place {
            open
        } else {
            let journal = Journal::open(&self.path)?;
            place.insert(Open { journal, state: State::default(), weigh: SHORT })
        };
        self.opened.store(true, Ordering::Release);
        let Open { journal, state, .. } = open;
        match journal.read_on(|seq, record, at| state.apply(seq, record, at).map(drop)) {
            Ok(()) => Ok(open),
            Err(ReadFault::Other(fault)) => Err(fault),
            Err(ReadFault::Unsynced(error)) => {
                self.unsynced.store(true, Ordering::Release);
                Err(error.into())
            }
        }
    }

    /// Makes an empty journal if there is none. One that was there and was moved away is not made
    /// anew under the feet of whoever did that.
    fn make(&self) -> Result<(), Fault> {
        if self.opened.load(Ordering::Acquire) || self.path.try_exists()? {
            return Ok(());
        }
        self.make_with(std::iter::empty()).map(drop)
    }

    fn make_with(
        &self,
        records: impl Iterator<Item = Result<String, Fault>>,
    ) -> Result<bool, Fault> {
        journal::make_directory(&self.path)?;
        let Some(_turn) = self.turn(PATIENCE)? else { return Err(busy()) };
        if self.path.try_exists()? {
            return Ok(false);
        }
        journal::write(&self.path, 0, records)?;
        Ok(true)
    }

    fn place(&self) -> Result<MutexGuard<'_, Option<Open>>, Fault> {
        let place = self.open.lock().unwrap_or_else(|poisoned| {
            // One that panicked may have left half of a change. It is read anew.
            let mut place = poisoned.into_inner();
            *place = None;
            self.open.clear_poison();
            place
        });
        if self.unsynced.load(Ordering::Acquire) {
            return Err(Fault::Lost(
                "the disk refused to keep what was written before; mend it and start again".into(),
            ));
        }
        Ok(place)
    }

    /// The right to write, for one at a time. `None` if somebody else has it for that long.
    fn turn(&self, patience: Duration) -> Result<Option<Turn<'_>>, Fault> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            *lock = Some(KernelLock::open(&beside(&self.path, ".lock"))?);
        }
        let start = Instant::now();
        loop {
            if let Some(kernel) = lock.as_mut()
                && kernel.try_take()?
            {
                return Ok(Some(Turn { lock }));
            }
            if start.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The right to write, until it is dropped.
struct Turn<'a> {
    lock: MutexGuard<'a, Option<KernelLock>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // One that cannot be given back is closed, which gives it back.
        if self.lock.as_ref().is_some_and(|kernel| kernel.release().is_err()) {
            *self.lock = None;
        }
    }
}

fn busy() -> Fault {
    let why = "another process has been writing for 10 s";
    io::Error::new(io::ErrorKind::TimedOut, why).into()
}
