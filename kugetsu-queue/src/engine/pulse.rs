//! The pulse: how whoever watches over a server sees that it lives.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use kugetsu_core::Role;

use super::Engine;

/// Not heard of since the last beat.
const SILENT: u8 = 0;
/// Heard of since the last beat.
const HEARD: u8 = 1;
/// Ended, and never heard of again.
const ENDED: u8 = 2;

/// What is told now and then, as long as every half of a server gets on.
#[derive(Clone)]
pub(super) struct Pulse {
    every: Duration,
    beat: Arc<dyn Fn() + Send + Sync>,
    halves: Arc<[AtomicU8; 2]>,
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Pulse {
    pub(super) fn new(every: Duration, beat: impl Fn() + Send + Sync + 'static) -> Self {
        Self { every, beat: Arc::new(beat), halves: Arc::default() }
    }

    fn hear(&self, role: Role, how: u8) {
        self.halves[usize::from(role == Role::Pm)].store(how, Ordering::SeqCst);
        if self.halves.iter().all(|half| half.load(Ordering::SeqCst) != SILENT) {
            for half in self.halves.iter() {
                let _ = half.compare_exchange(HEARD, SILENT, Ordering::SeqCst, Ordering::SeqCst);
            }
            (self.beat)();
        }
    }
}

impl Engine {
    /// Waits for something that may take any time, and beats meanwhile. What is done in between does
    /// not beat: if it hangs, the pulse stops.
    pub(super) async fn waiting<T>(&self, role: Role, what: impl Future<Output = T>) -> T {
        let Some(pulse) = &self.pulse else { return what.await };
        let mut what = pin!(what);
        loop {
            pulse.hear(role, HEARD);
            let next = self.line.clock.tick().plus(pulse.every);
            tokio::select! {
                biased;
                done = &mut what => return done,
                () = self.line.clock.sleep_until(next) => {}
            }
        }
    }

    /// The other half alone keeps the pulse from now on.
    pub(super) fn waits_no_more(&self, role: Role) {
        if let Some(pulse) = &self.pulse {
            pulse.hear(role, ENDED);
        }
    }
}
