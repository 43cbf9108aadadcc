//! The queue and its daemon.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values::duration;
use super::work::Order;

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List the tasks, oldest first
    List {
        /// Only those that are not settled
        #[arg(long)]
        open: bool,
    },
    /// Count the tasks by state
    Stats,
    /// Queue a message for the agent of an issue, and print the task's id
    Enqueue(Enqueue),
    /// Show a task with all its attempts
    Show {
        /// The task's id, or the first 8 or more characters of it
        task: String,
    },
    /// End a task: at once, or as soon as its agent is stopped
    Cancel {
        /// The task's id, or the first 8 or more characters of it
        task: String,
    },
    /// Queue what a settled task wanted once more, and print the new task's id
    ///
    /// The new task comes after those of its issue that are open.
    Retry {
        /// The task's id, or the first 8 or more characters of it
        task: String,
    },
    /// Have the daemon take nothing more from the queue; what runs goes on
    ///
    /// `kugetsu start` in the foreground does not heed it.
    Pause {
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Have the daemon go on with the queue
    Resume,
    /// Forget settled tasks, and print how many
    ///
    /// Those of a key are queued anew when they are asked for again.
    Clear {
        /// How old they have to be, such as 7d [default: the setting `queue_cleanup_age_days`]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        older_than: Option<Duration>,
        /// All of them, however new
        #[arg(long, conflicts_with = "older_than")]
        all: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// What the agent is told; `-` reads it from the input [default: what the issue says]
    #[arg(allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// Which agent works, such as `opencode` or `acp:gemini` [default: the issue's own, or as
    /// `agent_for` and `agent` say]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueDaemon {
    /// Carry out what is queued, in the foreground
    ///
    /// The first SIGTERM or SIGINT lets the running agents end and starts no more. The second one, or
    /// the end of `drain_timeout_seconds`, stops them, and their tasks go back to the queue.
    Run {
        /// Leave the terminal
        #[arg(long, hide = true)]
        detached: bool,
    },
    /// Start the daemon, unless it runs
    Start,
    /// Let the running agents end and stop the daemon
    Stop(StopDaemon),
    /// Stop the daemon and start it again
    Restart(StopDaemon),
    /// Say whether the daemon runs: exit code 0 if it does, 1 if not
    Status,
    /// Have systemd run the daemon, at each login
    Install(InstallDaemon),
    /// Show the daemon's log
    Logs {
        /// How many lines
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
        /// Show what is added, too
        #[arg(short, long)]
        follow: bool,
    },
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct InstallDaemon {
    /// As a service of your own, the only kind there is
    #[arg(long, required_unless_present = "print")]
    pub(crate) user: bool,
    /// Enable and start it at once
    #[arg(long)]
    pub(crate) now: bool,
    /// Overwrite a unit that says something else
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the unit and write nothing
    #[arg(long, conflicts_with_all = ["now", "force"])]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StopDaemon {
    /// How long to wait for the running agents' end
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) within: Duration,
    /// Stop the agents; their tasks go back to the queue
    #[arg(long)]
    pub(crate) now: bool,
}
