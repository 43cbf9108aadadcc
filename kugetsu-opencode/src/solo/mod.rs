//! One `opencode run` for each turn, where no server can be had: slower, larger, and the same
//! promises.
//!
//! Everything goes through opencode's own commands. A session is made by importing it, so that its
//! id is ours before anything is said in it, and its directory is the one the command runs in.

mod model;
mod scratch;
mod sessions;
mod turn;

pub(crate) use sessions::session_for;
pub(crate) use turn::start;
