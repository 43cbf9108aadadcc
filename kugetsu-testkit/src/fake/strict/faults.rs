use std::fmt;
use std::sync::{Mutex, PoisonError};

use kugetsu_core::Retry;

/// What a store can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// [`TaskStore::commit`](kugetsu_core::TaskStore::commit).
    Commit,
    /// [`EventLog::append`](kugetsu_core::EventLog::append).
    Append,
    /// [`EventLog::read`](kugetsu_core::EventLog::read).
    Read,
    /// `load` of a task or a session.
    Load,
    /// [`TaskStore::due`](kugetsu_core::TaskStore::due).
    Due,
    /// [`TaskStore::list`](kugetsu_core::TaskStore::list).
    List,
    /// [`TaskStore::remove`](kugetsu_core::TaskStore::remove).
    Clear,
    /// [`SessionStore::put`](kugetsu_core::SessionStore::put).
    Put,
    /// [`SessionStore::find`](kugetsu_core::SessionStore::find).
    Find,
    /// [`SessionStore::remove`](kugetsu_core::SessionStore::remove).
    Remove,
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// Somebody else was faster. Of `commit`, `put` and the removal of a task only.
    Conflict,
    /// The store's own fault; nothing is done.
    Backend(Retry),
    /// It is done, but whoever asked for it is told of a fault of the store that may pass.
    AnswerLost,
}

/// The faults that are planned.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Mutex<Vec<(StoreOperation, u32, StoreFault)>>,
}

impl Faults {
    pub(super) fn plan(&self, operation: StoreOperation, nth: u32, fault: StoreFault) {
        assert!(nth > 0, "the next call is the first");
        let conflicts = matches!(
            operation,
            StoreOperation::Commit | StoreOperation::Clear | StoreOperation::Put
        );
        assert!(conflicts || fault != StoreFault::Conflict, "`{operation}` has no conflicts");
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push((operation, nth, fault));
    }

    /// Counts a call, and tells how it is to fail.
    pub(super) fn next(&self, operation: StoreOperation) -> Option<StoreFault> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        for (other, nth, _) in planned.iter_mut() {
            if *other == operation {
                *nth -= 1;
            }
        }
        let now = planned.iter().position(|(_, nth, _)| *nth == 0)?;
        Some(planned.remove(now).2)
    }
}
