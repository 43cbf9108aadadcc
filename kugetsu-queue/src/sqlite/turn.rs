//! Taking turns: who writes next, among processes.
//!
//! `SQLite` alone lets in whoever asks at the right instant; who does not sleeps and asks again. Here
//! writers stand in a queue that the kernel keeps, and the next one is woken when the one before it is
//! done, or gone. What this decides is order, never whether a write is right: who cannot stand in the
//! queue, or has stood too long behind one that does not move, asks `SQLite` at once.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// How long somebody stands in the queue before going on without a turn.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Where writers take turns: the kernel lock of a file.
#[derive(Debug)]
pub(super) struct Turns {
    path: PathBuf,
    file: Option<File>,
    /// Whether a thread of this value still stands in the queue.
    standing: Arc<AtomicBool>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// Nobody else wrote.
    Free(&'a File),
    /// It was waited for.
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")]
    Waited(File),
    /// There is no queue.
    Without,
    /// It did not come; so long was waited for it.
    Late(Duration),
}

impl Turns {
    /// The turns of the file at `path`, which is made if there is none. If it cannot be, there are no
    /// turns.
    pub(super) fn of(path: PathBuf) -> Self {
        let file = open(&path).ok();
        Self { path, file, standing: Arc::default() }
    }

    /// Waits for a turn, but no longer than [`PATIENCE`].
    pub(super) fn take(&self) -> Turn<'_> {
        let Some(file) = &self.file else { return Turn::Without };
        match file.try_lock() {
            Ok(()) => Turn::Free(file),
            Err(TryLockError::WouldBlock) => self.stand(),
            Err(TryLockError::Error(_)) => Turn::Without,
        }
    }

    /// A thread waits, since waiting for the kernel's lock cannot be given up. When nobody wants the
    /// turn any more by the time it comes, the thread lets it go.
    fn stand(&self) -> Turn<'_> {
        if self.standing.swap(true, Ordering::AcqRel) {
            // Whoever holds it has not moved since the last time.
            return Turn::Late(Duration::ZERO);
        }
        let (hand_over, handed) = sync_channel(0);
        let (path, standing) = (self.path.clone(), Arc::clone(&self.standing));
        let stand = move || {
            let _ = hand_over.send(locked(&path));
            standing.store(false, Ordering::Release);
        };
        if thread::Builder::new().name("kugetsu-turn".into()).spawn(stand).is_err() {
            self.standing.store(false, Ordering::Release);
            return Turn::Without;
        }
        match handed.recv_timeout(PATIENCE) {
            Ok(Ok(file)) => Turn::Waited(file),
            Ok(Err(_)) => Turn::Without,
            Err(_) => Turn::Late(PATIENCE),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Self::Free(file) = self {
            // What cannot be unlocked is let go of when the file is closed.
            let _ = file.unlock();
        }
    }
}

/// An open file of its own, so that closing it ends its turn and no other one.
fn locked(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(|()| file),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns() -> (tempfile::TempDir, Turns, Turns) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let (here, there) = (Turns::of(path.clone()), Turns::of(path));
        (home, here, there)
    }

    #[test]
    fn whoever_comes_second_has_the_turn_when_the_first_is_done() {
        let (_home, here, there) = turns();
        for _ in 0..3 {
            let first = here.take();
            assert!(matches!(first, Turn::Free(_)));
            thread::scope(|threads| {
                let second = threads.spawn(|| matches!(there.take(), Turn::Waited(_)));
                while !there.standing.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                drop(first);
                assert!(second.join().unwrap());
            });
            while there.standing.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_turn_that_does_not_come_is_waited_for_once_and_kept_from_nobody() {
        let (_home, here, there) = turns();
        let first = here.take();
        assert!(matches!(there.take(), Turn::Late(PATIENCE)));
        assert!(matches!(there.take(), Turn::Late(Duration::ZERO)));
        drop(first);
        // The thread that has waited all the time lets it go.
        while there.standing.load(Ordering::Acquire) {
            thread::yield_now();
        }
        assert!(matches!(here.take(), Turn::Free(_)));
        assert!(matches!(there.take(), Turn::Free(_)));
    }

    #[test]
    fn where_no_lock_can_be_had_nobody_waits() {
        let turns = Turns::of(PathBuf::from("/proc/no/such/place"));
        assert!(matches!(turns.take(), Turn::Without));
    }
}
