//! Which directories runs are in, so that the last one to leave turns out the light.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many runs are in which directory.
#[derive(Debug, Default)]
pub(crate) struct Occupied(Mutex<HashMap<PathBuf, usize>>);

impl Occupied {
    pub(crate) fn enter(&self, directory: &Path) {
        *self.runs().entry(directory.to_owned()).or_default() += 1;
    }

    /// Returns whether nobody is left.
    pub(crate) fn leave(&self, directory: &Path) -> bool {
        let mut runs = self.runs();
        let left = runs.get(directory).map_or(0, |runs| runs.saturating_sub(1));
        if left == 0 {
            runs.remove(directory);
        } else {
            runs.insert(directory.to_owned(), left);
        }
        left == 0
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
