//! The command line.

mod backend;
#[cfg(feature = "demo")]
mod capacity;
mod care;
#[cfg(test)]
mod documented;
mod queue;
mod reports;
mod sessions;
mod slots;
mod values;
mod work;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use backend::Schema;
#[cfg(feature = "testkit")]
pub(crate) use backend::{AgentOutput, Backend, BackendKind, CheckBackend};
#[cfg(feature = "demo")]
pub(crate) use capacity::{Capacity, CapacityEngine};
pub(crate) use care::{
    AddServer, Context, Doctor, Env, Import, Server, ServerKind, SetPr, Store, StoreKind,
};
pub(crate) use queue::{Enqueue, InstallDaemon, Queue, QueueDaemon, StopDaemon};
#[cfg(feature = "demo")]
pub(crate) use reports::Demo;
pub(crate) use reports::{Config, Logs, Notify, Watch, Why};
pub(crate) use sessions::{Destroy, Init, List, Prune};
pub(crate) use slots::{RunInSlot, SlotClass, Slots};
pub(crate) use values::{duration, key};
pub(crate) use work::{Continue, Delegate, Mcp, Order, Start, Stop, Turn};

const EXIT_CODES: &str = "\
Exit codes:
  0  done                    64  wrong command line
  1  failed                  65  what is stored is damaged or gone
  2  no slot is free, or     69  a program or service is missing
     the issue is in use     75  a fault that passes
                             78  wrong settings, or not initialised
                            130  stopped by Ctrl-C

Everything is kept in KUGETSU_DIR (default ~/.kugetsu). `kugetsu help refs` says how issues are
named, `kugetsu help config` lists the settings, `kugetsu help exit-codes` says more about those.";

/// A team of coding agents on a team's issues, headlessly and safely.
#[derive(Debug, Parser)]
#[command(
    name = "kugetsu",
    version,
    after_help = EXIT_CODES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
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
    /// Show who holds the places for agents, or run a command of your own in one
    ///
    /// Without a command it shows them.
    Slots {
        #[command(subcommand)]
        what: Option<Slots>,
    },
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
    /// Keep the address of an issue's pull request with its session
    SetPr(SetPr),
    /// Show what is remembered of an issue: its branch and the last of its conversation
    Context(Context),
    /// Find what is wrong, say why it matters and how to mend it, or mend it
    Doctor(Doctor),
    /// The variables that agents get
    #[command(subcommand)]
    Env(Env),
    /// The git servers
    #[command(subcommand)]
    Server(Server),
    /// Show the settings
    #[command(subcommand)]
    Config(Config),
    /// Where tasks, events and sessions are kept
    #[command(subcommand)]
    Store(Store),
    /// Take over what a bash version of kugetsu has left; nothing of it is changed
    Import(Import),
    /// What programs read and write, as JSON Schemas
    Schema(Schema),
    /// Hold a program to what a backend promises
    #[cfg(feature = "testkit")]
    #[command(subcommand)]
    Backend(Backend),
    /// Measure how many agents this machine carries, and what an agent costs
    ///
    /// So many real agents at once, more and more of them, against a scripted model unless told otherwise;
    /// their memory, processor time and response times; and one recommendation with its reason.
    #[cfg(feature = "demo")]
    Capacity(Capacity),
    /// Watch four issues being worked on by the real opencode against a scripted model
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print a shell's completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The directory to write them to
        dir: PathBuf,
    },
    /// Print help for a command, or about exit-codes, config or refs
    Help {
        /// The command or the subject
        what: Vec<String>,
    },
}

impl Command {
    /// The message, if it is a word that can only be a mistyped option.
    pub(crate) fn option_for_a_message(&self) -> Option<&str> {
        let message = match self {
            Self::Start(args) => args.message.as_deref(),
            Self::Continue(args) => args.message.as_deref(),
            Self::Delegate(args) => args.message.as_deref(),
            Self::Queue(Queue::Enqueue(args)) => args.message.as_deref(),
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
