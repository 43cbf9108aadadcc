//! What is shown, and settings.

#[cfg(feature = "demo")]
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The issue, a task's id (8 characters of it are enough), or `pm`
    pub(crate) what: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu logs                     the last 10 attempts, of dev agents and of the PM
  kugetsu logs 50                  the last 50
  kugetsu logs acme/widgets#42     the newest log of the issue
  kugetsu logs -f acme/widgets#42  the same and what is added, until its task is settled
  kugetsu logs pm -n 20            the last 20 lines of the PM's newest log

With --json the output is the events, one a line (kugetsu.event/1).")]
pub(crate) struct Logs {
    /// How many to list [default: 10], or whose to show: an issue, a task's id (8 characters of it are
    /// enough), or `pm`
    #[arg(value_name = "N|WHAT")]
    pub(crate) what: Option<String>,
    /// Show only so many lines of the log, its last
    #[arg(short = 'n', long)]
    pub(crate) lines: Option<usize>,
    /// Show what is added, too, until the task is settled
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Print the board as it is now, in plain lines, and end
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Notify {
    /// List the unread notices, oldest first
    List {
        /// Also those that were read; the unread ones have a star
        #[arg(long)]
        all: bool,
    },
    /// Mark as read what was listed; what came since stays unread
    Clear,
    /// Bring a sink a notice about nothing, and say what comes of it
    Test {
        /// The sink's name: `phone` of the table [notify.phone] in config.toml
        sink: String,
    },
    /// List the sinks to which the daemon brings notices
    Sinks,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show each setting with where its value came from
    List,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where to make it; a fresh directory unless given. It stays
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
