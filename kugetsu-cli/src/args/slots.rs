//! The places for agents.

use std::ffi::OsString;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Slots {
    /// Run a command in a slot, and wait for one if none is free
    ///
    /// For scripts that start agents of their own under the same limit. kugetsu becomes the command,
    /// so that its output and its exit code are the command's. The slot is free when the command has
    /// ended, and whatever it has started and left running.
    Run(RunInSlot),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu slots run -- ./my-agent 42           waits for a slot, as `flock` does for a lock
  kugetsu slots run --class pm -- ./my-agent   in the place of the PM's agent")]
pub(crate) struct RunInSlot {
    /// Whose slot
    #[arg(long, value_enum, default_value = "dev")]
    pub(crate) class: SlotClass,
    /// The command and what it is told
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

/// A class of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlotClass {
    /// Agents that work on issues
    Dev,
    /// The PM's agent
    Pm,
}
