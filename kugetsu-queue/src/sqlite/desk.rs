//! Where work lies that is to be written, until somebody comes to it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::job::Job;

/// How many writes go together at most, so that none waits for too many others.
const TOGETHER: usize = 256;

/// The work that waits, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    /// Whether somebody is there who will come to them.
    served: bool,
}

impl Desk {
    /// Puts the job behind the others. Says whether nobody serves them yet: whoever asks has to.
    pub(super) fn add(&self, job: Job) -> bool {
        let mut waiting = self.waiting();
        waiting.jobs.push_back(job);
        self.came.notify_one();
        !std::mem::replace(&mut waiting.served, true)
    }

    /// What goes together next; `None` if nothing waits, and then nobody serves any more.
    pub(super) fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        let count = match waiting.jobs.iter().position(|job| job.alone) {
            Some(0) => 1,
            Some(alone) => alone.min(TOGETHER),
            None => waiting.jobs.len().min(TOGETHER),
        };
        waiting.served = count > 0;
        let jobs: Vec<Job> = waiting.jobs.drain(..count).collect();
        waiting.served.then_some(jobs)
    }

    /// Waits until this many lie here, but no longer than that.
    pub(super) fn gather(&self, count: usize, most: Duration) {
        let is_less = |waiting: &mut Waiting| waiting.jobs.len() < count;
        let _ = self.came.wait_timeout_while(self.waiting(), most, is_less);
    }

    /// Gives all of it up: whoever waits is told, and the next who comes finds nobody serving.
    pub(super) fn give_up(&self) {
        let left = std::mem::take(&mut *self.waiting());
        drop(left);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much lies here, and whether somebody serves.
    #[cfg(test)]
    pub(super) fn state(&self) -> (usize, bool) {
        let waiting = self.waiting();
        (waiting.jobs.len(), waiting.served)
    }
}
