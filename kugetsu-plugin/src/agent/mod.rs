//! The command agent: any program that reads what it is told and says what it does.
//!
//! `docs/command-agents.md` says what a program has to do, for whoever writes one.

mod account;
mod config;
mod environment;
mod known;
mod lines;
mod program;
mod runner;
mod stopping;
mod tail;
mod turn;

pub use config::{CommandConfig, Output};
pub use runner::CommandAgent;

use std::io;

use kugetsu_core::AgentError;
use kugetsu_core::error::{Retry, Source};
use kugetsu_core::ids::AgentId;

/// The runner's own fault.
fn backend(who: &AgentId, operation: &str, retry: Retry, source: impl Into<Source>) -> AgentError {
    AgentError::Backend {
        who: who.to_string(),
        operation: operation.to_owned(),
        retry,
        source: source.into(),
    }
}

/// A fault of this machine, which may pass.
fn io_fault(who: &AgentId, operation: &str, source: io::Error) -> AgentError {
    backend(who, operation, Retry::Later, source)
}
