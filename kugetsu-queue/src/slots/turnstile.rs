//! The turnstile: which of the processes that wait is first in line.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::lock::KernelLock;

/// A kernel lock for which processes queue up. The kernel wakes one at a time, in order.
///
/// Waiting for a kernel lock cannot be called off, so that a thread does it: at most one for each
/// turnstile of a process. Who no longer wants the turn just goes; the thread gives back at once
/// what nobody wants any more.
#[derive(Debug, Clone)]
pub(super) struct Turnstile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The open file, while no thread waits with it and no turn has it.
    file: Option<KernelLock>,
    /// Whether a thread waits.
    waiting: bool,
    /// Who gets the turn that the thread waits for.
    wanted: Option<oneshot::Sender<Turn>>,
}

/// The right to be first in line, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    shared: Arc<Shared>,
    lock: Option<KernelLock>,
}

impl Turnstile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { shared: Arc::new(Shared { path, state: Mutex::default() }) }
    }

    /// Waits until this process is first in line. Of one process only one may wait at a time.
    pub(super) async fn turn(&self) -> io::Result<Turn> {
        let coming = {
            let mut state = self.shared.state();
            if !state.waiting {
                let mut lock = match state.file.take() {
                    Some(lock) => lock,
                    None => KernelLock::open(&self.shared.path)?,
                };
                if lock.try_take()? {
                    return Ok(self.shared.turn(lock));
                }
                self.shared.wait_with(lock)?;
                state.waiting = true;
            }
            let (hand_over, coming) = oneshot::channel();
            state.wanted = Some(hand_over);
            coming
        };
        coming.await.map_err(|_| io::Error::other("the wait for the turnstile failed"))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(self: &Arc<Self>, lock: KernelLock) -> Turn {
        Turn { shared: Arc::clone(self), lock: Some(lock) }
    }

    fn wait_with(self: &Arc<Self>, mut lock: KernelLock) -> io::Result<()> {
        let shared = Arc::clone(self);
        let wait = move || {
            let taken = lock.take();
            let wanted = {
                let mut state = shared.state();
                state.waiting = false;
                state.wanted.take()
            };
            // Without a turn whoever waits is told so by the sender's end.
            if taken.is_ok() {
                let turn = shared.turn(lock);
                if let Some(wanted) = wanted {
                    let _ = wanted.send(turn);
                }
            }
        };
        let thread = thread::Builder::new().name("kugetsu-turnstile".into()).stack_size(64 * 1024);
        thread.spawn(wait).map(|_| ())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take()
            && lock.release().is_ok()
        {
            self.shared.state().file = Some(lock);
        }
    }
}
