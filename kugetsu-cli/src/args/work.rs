//! Having agents work.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{duration, key};

/// How a message is given, and how long to wait.
#[derive(Debug, Args)]
pub(crate) struct Turn {
    /// Read the message from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) message_file: Option<PathBuf>,
    /// Wait for a free slot, at most so long (such as 30s or 10m) if a time is given
    #[arg(long, value_name = "TIME", require_equals = true, num_args = 0..=1, value_parser = duration)]
    #[allow(clippy::option_option)]
    pub(crate) wait: Option<Option<Duration>>,
    /// Queue it for the daemon, print the task's id and return
    #[arg(long, conflicts_with = "wait")]
    pub(crate) detach: bool,
    /// Which agent works, such as `opencode` or `acp:gemini` [default: the issue's own, or as
    /// `agent_for` and `agent` say]
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu start acme/widgets#42 \"fix the crash on empty input\"
  kugetsu start https://github.com/acme/widgets/issues/42 - < task.md
  kugetsu start acme/widgets#42
  kugetsu start example.com/team/tool#7 \"add a test\" --repo ~/src/tool --wait=10m

What the agent says and does goes to the error stream, the result to the output. With --json the \
output is the events, one a line (kugetsu.event/1).")]
pub(crate) struct Start {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// What the agent is told; `-` reads it from the input [default: what the issue says]
    #[arg(allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// The pull request that the work belongs to
    pub(crate) pr_url: Option<String>,
    /// Where the issue's repository is cloned from, remembered from now on
    #[arg(long, value_name = "URL|PATH")]
    pub(crate) repo: Option<String>,
    #[command(flatten)]
    pub(crate) turn: Turn,
}

#[derive(Debug, Args)]
pub(crate) struct Continue {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// What the agent is told; `-` reads it from the input [default: Continue where you left off.]
    #[arg(allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    #[command(flatten)]
    pub(crate) turn: Turn,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu delegate \"Fix acme/widgets#42: it crashes on empty input.\"
  kugetsu delegate --wait \"What is open, and how far is it?\"
  kugetsu delegate - < wishes.md")]
pub(crate) struct Delegate {
    /// What is wanted; `-` reads it from the input
    #[arg(allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// Read the message from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) message_file: Option<PathBuf>,
    /// Wait for the answer, at most so long (such as 30s or 10m) if a time is given, and print it
    #[arg(long, value_name = "TIME", require_equals = true, num_args = 0..=1, value_parser = duration)]
    #[allow(clippy::option_option)]
    pub(crate) wait: Option<Option<Duration>>,
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Tell your agent to start the program `kugetsu` with the argument `mcp`. In opencode's settings:
  { \"mcp\": { \"kugetsu\": { \"type\": \"local\", \"command\": [\"kugetsu\", \"mcp\"] } } }")]
pub(crate) struct Mcp {
    /// Offer only what reads
    #[arg(long)]
    pub(crate) read_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The issue, or `pm`
    pub(crate) issue: String,
    /// How long to wait for the agent's end, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) within: Duration,
}

/// When a task's turn comes.
#[derive(Debug, Default, Args)]
pub(crate) struct Order {
    /// The higher, the sooner [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) priority: Option<i16>,
    /// Not before this time has passed, such as 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) after: Option<Duration>,
    /// A name of your own for it: asking again under the same one is asking once
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(crate) key: Option<String>,
}
