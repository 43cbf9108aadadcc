//! Runs opencode as kugetsu's coding agent.
#![warn(missing_docs, unreachable_pub)]

pub mod config;
pub mod guard;
pub mod rules;

mod command;
mod environment;
mod failure;
mod fault;
mod ids;
mod marker;
mod probe;
mod proc;
mod quirks;
mod random;
mod recovery;
mod run;
mod runner;
mod server;
mod sessions;
mod solo;
mod spawn;
mod state;
mod tree;
mod wire;

pub use config::{Engine, Environment, Limits, OpencodeConfig};
pub use guard::{GuardError, GuardProgram};
pub use recovery::Ended;
pub use rules::{Rule, RuleBook, Verdict};
pub use runner::OpencodeRunner;
