//! Going from one directory to the next without following a link.

use std::os::fd::OwnedFd;

use rustix::fs::Mode;

use super::{DIRECTORY, Left};

/// The open directories on the way to the one that was entered last.
pub(super) struct Way<'a> {
    root: &'a OwnedFd,
    steps: Vec<(Vec<u8>, OwnedFd)>,
}

impl<'a> Way<'a> {
    pub(super) fn new(root: &'a OwnedFd) -> Self {
        Self { root, steps: Vec::new() }
    }

    /// Opens the directory at `path` below the root, one step after the other.
    pub(super) fn enter(&mut self, path: &[u8]) -> Result<&OwnedFd, Left> {
        let steps = || path.split(|byte| *byte == b'/').filter(|step| !step.is_empty());
        let same =
            steps().zip(&self.steps).take_while(|(step, (name, _))| *step == &**name).count();
        self.steps.truncate(same);
        for step in steps().skip(same) {
            let open = rustix::fs::openat(self.here(), step, DIRECTORY, Mode::empty())?;
            self.steps.push((step.to_vec(), open));
        }
        Ok(self.here())
    }

    fn here(&self) -> &OwnedFd {
        self.steps.last().map_or(self.root, |(_, open)| open)
    }
}
