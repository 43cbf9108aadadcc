//! Runs opencode as kugetsu's coding agent.
#![warn(missing_docs, unreachable_pub)]

pub mod guard;

mod marker;
mod proc;
mod random;
mod spawn;
