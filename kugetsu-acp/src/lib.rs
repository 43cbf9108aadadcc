//! Runs any agent that speaks the Agent Client Protocol over its standard streams.
#![warn(missing_docs, unreachable_pub)]

pub mod config;

mod failure;
mod fault;
mod process;
mod program;
mod records;
mod run;
mod runner;
mod sessions;
mod talk;
mod text;

pub use config::{AcpConfig, Limits, Permissions, UnknownPermissions};
pub use kugetsu_guard::{Ended, Environment, GuardProgram, Leftover};
pub use runner::AcpRunner;
