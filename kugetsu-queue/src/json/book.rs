//! The journal with what it says, used from async code and beside other processes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::contents;
use super::journal::{self, AppendFault, Journal, ReadFault, beside};
use super::mark::{self, Mark};
use super::state::State;
use super::view::View;
use crate::blocking::blocking;
use crate::fault::Fault;
use crate::slots::KernelLock;

/// How long a call waits for another process's write.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said where there is no journal any more.
pub(super) const GONE: &str = "the file is gone, though it was made before";

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

    pub(super) fn view(&self) -> &View {
        &self.shared.view
    }

    /// Opens the journal, or makes it, and makes up for what somebody who died has not written
    /// beside it.
    pub(super) async fn ready(&self) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.ready()).await
    }

    /// The same on this thread.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        self.shared.ready()
    }

    /// The journal as it lies there, read to its end.
    pub(super) fn look(&self) -> Result<Open, Fault> {
        self.shared.opened()
    }

    /// The right to write.
    pub(super) fn turn(&self) -> Result<Turn<'_>, Fault> {
        self.shared.turn(PATIENCE)?.ok_or_else(busy)
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
            let _ = fs::remove_file(journal::spare(&shared.path));
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
        self.shared.make_with(records, Was::Whatever)
    }
}

/// Whether a journal may be made where there was one that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Was {
    Never,
    Whatever,
}

impl Open {
    pub(super) fn new(journal: Journal, state: State) -> Self {
        Self { journal, state, weigh: SHORT }
    }
}

impl Shared {
    fn ready(&self) -> Result<(), Fault> {
        let is_settled = self.read(|open| Ok(self.is_settled(open)))?;
        if !is_settled && let Some(turn) = self.turn(Duration::ZERO)? {
            self.read(|open| {
                self.settle(open, &turn);
                Ok(())
            })?;
        }
        Ok(())
    }

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
        let Some(turn) = self.turn(PATIENCE)? else { return Err(busy()) };
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
        turn.mark(Mark::of(&open.journal));
        if was_current {
            self.view.update(open, &changed);
        } else {
            self.view.write(open);
        }
        self.rewrite(&mut place, &turn);
        Ok(done)
    }

    /// Whether everything beside the journal is as it has to be.
    fn is_settled(&self, open: &Open) -> bool {
        self.view.is_current(open)
            && Mark::read(&self.path).is_some()
            && journal::has_spare(&self.path)
    }

    fn settle(&self, open: &Open, turn: &Turn<'_>) {
        turn.mark(Mark::of(&open.journal));
        journal::make_spare(&self.path);
        if !self.view.is_current(open) {
            self.view.write(open);
        }
    }

    /// Rewrites the journal without what is not needed any more, if that is most of it. One that
    /// cannot be rewritten goes on growing.
    fn rewrite(&self, place: &mut Option<Open>, turn: &Turn<'_>) {
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
        {
            turn.mark(Mark::of(&open.journal));
            journal::make_spare(&self.path);
            if is_current {
                self.view.mark(open);
            }
        }
    }

    /// The journal, read up to its end. What cannot be read on stays where it was, so that the next
    /// call is told the same.
    fn current<'a>(&self, place: &'a mut Option<Open>) -> Result<&'a mut Open, Fault> {
        if place.as_ref().is_some_and(|open| open.journal.is_replaced().unwrap_or(true)) {
            *place = None;
        }
        match place {
            Some(open) => {
                self.read_on(open)?;
                Ok(open)
            }
            None => Ok(place.insert(self.opened()?)),
        }
    }

    /// The journal from its beginning, which has to be all that was written.
    fn opened(&self) -> Result<Open, Fault> {
        // Read first, so that it can say no more than what is there when the journal is read.
        let mark = Mark::read(&self.path);
        let journal = Journal::open(&self.path)?;
        self.opened.store(true, Ordering::Release);
        let mut open = Open::new(journal, State::default());
        self.read_on(&mut open)?;
        match mark.and_then(|mark| mark.missing(&open.journal)) {
            Some(missing) => Err(Fault::Damaged(missing)),
            None => Ok(open),
        }
    }

    fn read_on(&self, Open { journal, state, .. }: &mut Open) -> Result<(), Fault> {
        let read = journal.read_on(|seq, record, at| state.apply(seq, record, at).map(drop));
        read.map_err(|fault| match fault {
            ReadFault::Other(fault) => fault,
            ReadFault::Unsynced(error) => {
                self.unsynced.store(true, Ordering::Release);
                error.into()
            }
        })
    }

    /// Makes an empty journal if there is none. One that was there and was moved away is not made
    /// anew under the feet of whoever did that.
    fn make(&self) -> Result<(), Fault> {
        if self.opened.load(Ordering::Acquire) || self.path.try_exists()? {
            return Ok(());
        }
        self.make_with(std::iter::empty(), Was::Never).map(drop)
    }

    fn make_with(
        &self,
        records: impl Iterator<Item = Result<String, Fault>>,
        was: Was,
    ) -> Result<bool, Fault> {
        journal::make_directory(&self.path)?;
        let Some(turn) = self.turn(PATIENCE)? else { return Err(busy()) };
        if self.path.try_exists()? {
            return Ok(false);
        }
        if was == Was::Never && mark::was_made(&self.path) {
            return Err(Fault::Damaged(GONE.into()));
        }
        turn.forget()?;
        let records = journal::write(&self.path, 0, records)?;
        turn.mark(Mark { generation: 0, seq: records });
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
#[derive(Debug)]
pub(super) struct Turn<'a> {
    lock: MutexGuard<'a, Option<KernelLock>>,
}

impl Turn<'_> {
    /// Remembers how far the journal was written.
    pub(super) fn mark(&self, mark: Mark) {
        if let Some(lock) = self.lock.as_ref() {
            mark.write(lock);
        }
    }

    /// Forgets that there was a journal.
    fn forget(&self) -> io::Result<()> {
        self.lock.as_ref().map_or(Ok(()), mark::forget)
    }
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
