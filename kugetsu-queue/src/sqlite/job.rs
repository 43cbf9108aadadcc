//! One piece of work that is to be written, whoever else's it is written with.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Transaction;
use tokio::sync::oneshot;

use crate::blocking::panicked;
use crate::fault::Fault;

type Run = dyn FnOnce(Result<&Transaction<'_>, &Fault>) -> Done + Send;
type Tell = dyn FnOnce(Option<&Fault>);

/// Work that was not begun yet. Dropping it tells whoever waits for it that it is lost.
pub(super) struct Job {
    /// Whether nothing else may be written in its transaction.
    pub(super) alone: bool,
    run: Box<Run>,
}

/// Work that was done, in a transaction that is not committed yet.
pub(super) struct Done {
    fault: Option<Fault>,
    tell: Box<Tell>,
}

/// A job, and where its answer comes.
pub(super) fn job<T, F>(work: F, alone: bool) -> (Job, oneshot::Receiver<Result<T, Fault>>)
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
{
    let (told, answer) = oneshot::channel();
    let run = move |transaction: Result<&Transaction<'_>, &Fault>| {
        let work = |transaction| {
            let worked = catch_unwind(AssertUnwindSafe(|| work(transaction)));
            worked.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
        };
        let result = transaction.map_err(Fault::again).and_then(work);
        let fault = result.as_ref().err().map(Fault::again);
        let tell = move |failed: Option<&Fault>| {
            let result = result.and_then(|answer| match failed {
                None => Ok(answer),
                Some(fault) => Err(fault.again()),
            });
            // Whoever has asked may have given up by now.
            let _ = told.send(result);
        };
        Done { fault, tell: Box::new(tell) }
    };
    (Job { alone, run: Box::new(run) }, answer)
}

impl Job {
    /// Does the work. A panic in it is a fault.
    pub(super) fn run(self, transaction: &Transaction<'_>) -> Done {
        (self.run)(Ok(transaction))
    }

    /// Tells that the work was not begun, and why.
    pub(super) fn refuse(self, why: &Fault) {
        (self.run)(Err(why)).tell(Some(why));
    }
}

impl Done {
    /// Why the work has failed by itself, if it has.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Tells what came of it: what the work itself says, unless that was good and the transaction has
    /// failed.
    pub(super) fn tell(self, failed: Option<&Fault>) {
        (self.tell)(failed);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("alone", &self.alone).finish_non_exhaustive()
    }
}
