//! Backends that are programs, in any language.
//!
//! A [`Plugin`] is a program that speaks `kugetsu.plugin/1`: JSON-RPC 2.0, one message a line, over
//! its standard input and output. It is a worktree provider ([`PluginWorktrees`]), a tracker
//! ([`PluginTracker`]), or both. `docs/plugins.md` describes the protocol for authors, [`SCHEMAS`]
//! has it as a JSON Schema, and `kugetsu backend check` holds a program to the same promises as
//! every other backend.
//!
//! ```no_run
//! use kugetsu_core::{WorktreeProvider as _, WorktreeSpec};
//! use kugetsu_plugin::{Plugin, PluginConfig, PluginWorktrees};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Nothing that a plugin starts outlives this process: the guard, which is this very program
//! // started a second time, sees to that. Call it before anything else.
//! kugetsu_guard::main_if_asked();
//!
//! let config = PluginConfig::new("mine", "/usr/local/bin/my-worktrees", "/home/me/.mine");
//! let worktrees = PluginWorktrees::new(Plugin::new(config));
//! let issue = "github.com/acme/widgets#42".parse()?;
//! println!("{}", worktrees.prepare(&WorktreeSpec::new(issue)).await?.path.display());
//! # Ok(()) }
//! ```
//!
//! # Promises
//!
//! * Whatever the program does is an error value at the worst: that it crashes, ends, hangs, writes
//!   rubbish, too long a line, or an answer to what was not asked. The error names the plugin, says
//!   whether trying again could help, and carries the end of the program's standard error.
//! * Nothing of the program, and nothing that it has started, outlives the [`Plugin`], however this
//!   process ends.
//! * The program is started by the first request, and again by the next one after it has ended, a
//!   bounded number of times in a while.
//! * Requests may be made at once, and are then on their way at once.
//! * No field that is not known here is an error, and no method that the program does not know is more
//!   than an `Unsupported`.
#![warn(missing_docs, unreachable_pub)]

mod agent;
mod config;
mod error;
mod plugin;
mod protocol;
mod rpc;
mod schemas;
mod tracker;
mod worktrees;

pub use agent::{CommandAgent, CommandConfig, Output};
pub use config::PluginConfig;
pub use error::{PluginError, Said};
pub use plugin::{Plugin, PluginInfo};
pub use protocol::{LONGEST_LINE, PROTOCOL, VERSION};
pub use schemas::{SCHEMAS, Schema};
pub use tracker::PluginTracker;
pub use worktrees::PluginWorktrees;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
