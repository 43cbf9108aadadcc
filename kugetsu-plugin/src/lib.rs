//! Backends that are programs, in any language.
#![warn(missing_docs, unreachable_pub)]

mod agent;

pub use agent::{CommandAgent, CommandConfig, Output};
