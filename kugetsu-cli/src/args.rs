//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  done                    64  wrong command line
  1  failed                  69  a program or service is missing
  2  no slot is free, or     75  a fault that passes
     the issue is in use     78  wrong settings, or not initialised
                            130  stopped by Ctrl-C

Everything is kept in KUGETSU_DIR (default ~/.kugetsu).";

/// A team of coding agents on a team's issues, headlessly and safely.
#[derive(Debug, Parser)]
#[command(
    name = "kugetsu",
    version,
    after_help = EXIT_CODES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Answer in JSON; an error is one JSON object on the error stream
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Say more about what goes wrong
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) debug: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        help_heading = "Everywhere"
    )]
    pub(crate) color: Color,
    /// A setting for this command only; may be given several times
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Everywhere")]
    pub(crate) config: Vec<String>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make kugetsu's directory, the base session and the PM's
    Init(Init),
    /// Have an agent work on an issue, in the issue's own worktree and session
    Start(Start),
    /// Have the agent of an issue go on where it left off
    Continue(Continue),
    /// Have something done that is said in plain words, and print the task's id
    ///
    /// A message that names one issue goes to the agent of that issue, any other one to the PM.
    Delegate(Delegate),
    /// Stop the agent of an issue; its session can be continued
    ///
    /// Prints `not in use` if nobody works on the issue, which is no error.
    Stop(Stop),
    /// List sessions: the base, the PM's and those of the issues
    List(List),
    /// Say in one word how things stand
    ///
    /// The word is `ok`, `kugetsu_not_initialized`, `base_session_missing` or `pm_agent_missing`.
    /// The exit code is 0 whichever it is.
    Status,
    /// Show who holds the places for agents
    Slots,
    /// Say gate by gate why an issue, a task or the PM is not being worked on
    ///
    /// What each gate waits for, since when, and what would open it. The exit code is 0 whatever the
    /// answer is.
    Why(Why),
    /// Watch slots, queue and agents on a live board, and act on them
    ///
    /// The keys: up and down select a task, Enter opens its log, s stops, r retries, p pauses the
    /// queue and resumes it, ? shows them all, q leaves. Agents go on when the board is left.
    Watch(Watch),
    /// Show and change what is queued; the daemon carries it out
    #[command(subcommand)]
    Queue(Queue),
    /// Show what people should hear of, and where else it is brought
    ///
    /// Without a command it lists the unread notices.
    Notify {
        #[command(subcommand)]
        what: Option<Notify>,
    },
    /// The process that carries out what is queued
    #[command(subcommand)]
    QueueDaemon(QueueDaemon),
    /// Show what agents said and did: the last logs, or one of them
    Logs(Logs),
    /// Remove the session and the worktree of an issue, or the base or PM session
    Destroy(Destroy),
    /// Remove sessions without a worktree and worktrees without a session, but no unsaved work
    Prune(Prune),
    /// Offer these commands as tools to an agent, over the standard streams
    ///
    /// The Model Context Protocol, as agents know it. The PM's agent has these tools by itself.
    Mcp(Mcp),
    /// Show the settings
    #[command(subcommand)]
    Config(Config),
    /// Watch four issues being worked on by the real opencode against a scripted model
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print a shell's completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// The message, if it is a word that can only be a mistyped option.
    pub(crate) fn option_for_a_message(&self) -> Option<&str> {
        let message = match self {
            Self::Start(args) => args.message.as_deref(),
            Self::Continue(args) => args.message.as_deref(),
            Self::Delegate(args) => args.message.as_deref(),
            Self::Queue(Queue::Enqueue(args)) => Some(args.message.as_str()),
            _ => None,
        }?;
        let is_option = message.len() > 2
            && message.starts_with("--")
            && message
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'=' | b'_'));
        is_option.then_some(message)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Replace the base and PM sessions; settings, env files, repositories and worktrees stay
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The issue, a task's id (8 characters of it are enough), or `pm`
    pub(crate) what: String,
}

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
    #[command(flatten)]
    pub(crate) order: Order,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kugetsu start acme/widgets#42 \"fix the crash on empty input\"
  kugetsu start https://github.com/acme/widgets/issues/42 - < task.md
  kugetsu start example.com/team/tool#7 \"add a test\" --repo ~/src/tool --wait=10m

What the agent says and does goes to the error stream, the result to the output. With --json the \
output is the events, one a line (kugetsu.event/1).")]
pub(crate) struct Start {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// What the agent is told; `-` reads it from the input
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

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Also the repositories' copies of the base, and worktrees without a session
    #[arg(long)]
    pub(crate) all: bool,
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
#[allow(clippy::struct_excessive_bools)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Destroy {
    /// The issue whose session and worktree are removed
    #[arg(group = "what")]
    pub(crate) issue: Option<String>,
    /// Remove the PM's session
    #[arg(long, group = "what")]
    pub(crate) pm_agent: bool,
    /// Remove the base session, the repositories' copies of it, and the PM's session
    #[arg(long, group = "what")]
    pub(crate) base: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
    /// Remove the worktree even if work in it is lost
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Do not ask
    #[arg(short = 'y', long, visible_alias = "force")]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Print the board as it is now, in plain lines, and end
    #[arg(long)]
    pub(crate) once: bool,
}

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

#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7
    pub(crate) issue: String,
    /// What the agent is told; `-` reads it from the input
    #[arg(allow_hyphen_values = true)]
    pub(crate) message: String,
    #[command(flatten)]
    pub(crate) order: Order,
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

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no time; write it as 30s, 10m, 2h or 7d");
    let time: jiff::Span = text.parse().map_err(|_| refused())?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let time = time.to_duration(days).map_err(|_| refused())?;
    Duration::try_from(time).map_err(|_| refused())
}

pub(crate) fn key(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.len() > 200 {
        return Err("a key is 1 to 200 bytes without control characters".to_owned());
    }
    Ok(text.to_owned())
}
