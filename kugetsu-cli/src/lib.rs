//! The kugetsu command: a team of coding agents on a team's issues.
//!
//! The program `kugetsu` is [`CliRunner::default().run()`](CliRunner::run). A program of your own that
//! brings its own agent, store or worktrees is as short:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use kugetsu_cli::CliRunner;
//! # fn my_agent() -> Result<Arc<dyn kugetsu_core::AgentRunner>, kugetsu_core::AgentError> { todo!() }
//!
//! fn main() -> ExitCode {
//!     kugetsu_opencode::guard::main_if_asked();
//!     CliRunner::default().with_agent("mine", |_place| my_agent()).run()
//! }
//! ```
//!
//! It is used when the settings say so: `agent = "mine"`.
//!
//! This crate is the only one that knows of a terminal, a home directory, a settings file and exit
//! codes; see [`exit`] for those.
//!
//! # Features
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `demo` | the commands `kugetsu demo` and `kugetsu capacity`, with the scripted model that they run against | yes |
//! | `testkit` | the command `kugetsu backend check`, with the promises of every backend | yes |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, unreachable_pub)]

pub mod exit;

mod args;
mod caller;
mod commands;
mod env_files;
mod errors;
mod forges;
mod here;
mod panics;
mod paths;
mod place;
mod references;
mod repositories;
mod runner;
mod screen;
mod servers;
mod settings;
mod setup;
mod signals;
mod sinks;
mod situation;
mod surroundings;
mod tasks;

pub use place::{Place, Stores};
pub use runner::CliRunner;
pub use surroundings::{Surroundings, Terminals};

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
