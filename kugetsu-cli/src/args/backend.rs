//! Checking backends, and what they read and write.

#[cfg(feature = "testkit")]
use std::ffi::OsString;

use clap::Args;
#[cfg(feature = "testkit")]
use clap::{Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Of what; without a name they are listed
    pub(crate) name: Option<String>,
}

#[cfg(feature = "testkit")]
#[derive(Debug, Subcommand)]
pub(crate) enum Backend {
    /// Hold a program to the promises of what it is a backend for
    ///
    /// A plugin says itself whether it makes worktrees; of a notifier and of an agent, which are plain
    /// commands, `--kind` says it. Each promise is checked on a fresh program with directories and
    /// repositories of its own. The exit code is 0 if all promises that could be checked are kept, 1
    /// if one is not, and 69 if the program is missing or does not speak the protocol.
    Check(CheckBackend),
}

#[cfg(feature = "testkit")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu backend check -- ./my-worktrees.py
  kugetsu backend check --kind notifier -- ./my-notifier.sh {file}
  kugetsu backend check --kind agent --output json --resume -- ./my-agent
  kugetsu backend check --promise preparing_twice_is_preparing_once -- ./my-worktrees.py")]
pub(crate) struct CheckBackend {
    /// What the program is a backend for
    #[arg(long)]
    pub(crate) kind: Option<BackendKind>,
    /// Of an agent: what it writes
    #[arg(long, value_name = "WHAT", default_value = "text")]
    pub(crate) output: AgentOutput,
    /// Of an agent: it goes on with a conversation that it is told
    #[arg(long)]
    pub(crate) resume: bool,
    /// Check only this promise, by its name; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) promise: Vec<String>,
    /// The program and its arguments, as they would stand in the settings. Where an argument of a
    /// notifier is `{file}`, it is given a file in which to keep each notice as a line
    #[arg(last = true, required = true, num_args = 1.., value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// What an agent writes.
#[cfg(feature = "testkit")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AgentOutput {
    /// Whatever it writes, it says
    Text,
    /// Lines, each an event
    Json,
}

/// What a program is a backend for.
#[cfg(feature = "testkit")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendKind {
    /// It makes worktrees
    Worktrees,
    /// It reads issues and comments on them
    Tracker,
    /// It brings notices to people
    Notifier,
    /// It works on issues
    Agent,
}
