//! One `opencode run` for each turn, where no server can be had: slower, larger, and the same
//! promises.
//!
//! Everything goes through opencode's own commands. A session is made by importing it, so that its
//! id is ours before anything is said in it, and its directory is the one the command runs in.

mod batch;
mod model;
mod scratch;
mod sessions;
mod turn;

use std::path::PathBuf;

use crate::sessions::Copied;
use batch::Batch;

pub(crate) use sessions::session_for;
pub(crate) use turn::start;

/// Who waits for what opencode's commands tell.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    directories: Batch<PathBuf>,
    exports: Batch<Copied>,
}
