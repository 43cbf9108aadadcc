//! Where process trees are recorded: a directory that is private to the user.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::Plan;
use crate::recovery::{self, Ended, Leftover};
use crate::tree::{self, StartError, Started};

/// A directory in which process trees are recorded. Several processes may share it, and who shares
/// it ends what another left behind.
///
/// In it are `trees/`, the records, `tmp/`, each tree's own directory for temporary files, and
/// `recovery.lock`. The rest is its user's.
#[derive(Debug, Clone)]
pub struct Trees(PathBuf);

impl Trees {
    /// Makes the directory, with mode 0700, and all that has to be in it. Doing it twice is doing it
    /// once. One that is there keeps its mode.
    pub fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let trees = Self(std::path::absolute(root)?);
        for directory in [trees.0.clone(), trees.records(), trees.tmp()] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(Self(fs::canonicalize(&trees.0)?))
    }

    /// The directory, if it is there. Nothing is made.
    pub fn there(root: impl AsRef<Path>) -> io::Result<Option<Self>> {
        match fs::canonicalize(root) {
            Ok(real) => Ok(Some(Self(real))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directory itself, by its real name.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Below this, each tree has its own directory for temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Starts a program under its guard and returns once the guard knows all that it has to; the
    /// program itself may still fail to start, which the guard's status 127 and standard error tell.
    ///
    /// The tree is recorded before it starts, so that it is found whatever dies and whenever.
    pub async fn start(&self, plan: Plan) -> Result<Started, StartError> {
        tree::start(self, plan).await
    }

    /// Ends every tree whose owner is gone, and returns what had to be ended.
    ///
    /// Only processes that carry the tree's marker are signalled. Trees whose owner lives are left
    /// alone. Blocks the thread until all of it is gone, and while another process is at it.
    pub fn recover(&self) -> io::Result<Vec<Ended>> {
        recovery::recover(self)
    }

    /// The trees whose owner is gone. Ends nothing and removes nothing; while somebody is at ending
    /// them there are none. Blocks the thread for as long as it takes to look through `/proc`.
    pub fn leftovers(&self) -> io::Result<Vec<Leftover>> {
        recovery::leftovers(self)
    }

    /// The records of trees that live, or that have to be ended.
    pub(crate) fn records(&self) -> PathBuf {
        self.0.join("trees")
    }

    /// Held while left-over trees are ended.
    pub(crate) fn recovery_lock(&self) -> PathBuf {
        self.0.join("recovery.lock")
    }
}
