//! Runs opencode as kugetsu's coding agent.
//!
//! [`OpencodeRunner`] is an [`AgentRunner`](kugetsu_core::AgentRunner). By default all its runs
//! share one supervised `opencode serve`, which is started by the first and ends with the runner;
//! where no server can be had, [`Engine::Run`] starts one `opencode run` for each turn. Both keep
//! the same promises and pass the same suite.
//!
//! ```no_run
//! use kugetsu_core::{AgentRunner as _, RunRequest};
//! use kugetsu_opencode::{OpencodeConfig, OpencodeRunner};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Nothing that opencode starts outlives this process: the guard, which is this very program
//! // started a second time, sees to that. Call it before anything else.
//! kugetsu_opencode::guard::main_if_asked();
//!
//! let runner = OpencodeRunner::new(OpencodeConfig::new("/home/me/.kugetsu/opencode"))?;
//! let run = runner.start(RunRequest::new("/home/me/worktree", "Fix the typo")).await?;
//! # drop(run); Ok(()) }
//! ```
//!
//! What is the matter with what an earlier process, or somebody else, has left can be looked at
//! without starting a server: [`OpencodeRunner::leftovers`] tells the processes, and
//! [`OpencodeRunner::examine_permissions`] the sessions whose rules would have an agent wait for an
//! answer, which [`OpencodeRunner::mend_permissions`] puts right.
//!
//! # What dies with what
//!
//! ```text
//! kugetsu ─ pipe ─► guard (adopts what the tree loses) ─► opencode ─► tools, each in a session of its own
//! ```
//!
//! | dies | then |
//! |---|---|
//! | a run, by stop or drop | its turn is aborted, which the server's own word proves; what its tools left in the worktree is ended |
//! | opencode | the guard ends all of its tree; runs end with an error; the next run has another server |
//! | kugetsu, in whatever way | the pipe closes, and the guard ends all of the tree |
//! | the guard | the kernel ends opencode; kugetsu ends whoever carries the tree's marker |
//! | kugetsu and the guard at once | the kernel ends opencode; the next kugetsu ends whoever carries the marker, before it starts an agent |
//!
//! # Why not …
//!
//! * **… a process group?** opencode's tools leave it.
//! * **… `opencode run --fork`?** It works in the origin's directory and never exits. See the
//!   crate's `quirks`, which names the version of everything that is worked around.
//! * **… a repository's own settings?** `opencode.json` and `.opencode/` may start programs before
//!   anybody has said a word: see [`OpencodeConfig::project_config`].
//!
//! Linux only: it stands on pidfd, `/proc`, child subreapers and the parent's death signal.
#![warn(missing_docs, unreachable_pub)]

pub mod config;
pub mod guard;
pub mod rules;

mod command;
mod environment;
mod failure;
mod fault;
mod ids;
mod limit;
mod permissions;
mod probe;
mod quirks;
mod random;
mod run;
mod runner;
mod server;
mod sessions;
mod solo;
mod state;
mod untrusted;
mod wire;

pub use config::{Engine, Limits, OpencodeConfig, ToolServer};
pub use kugetsu_guard::{Ended, Environment, GuardError, GuardProgram, Leftover, label, shell};
pub use permissions::{Permissions, Wrong, WrongPermission};
pub use rules::{Rule, RuleBook, Verdict};
pub use runner::OpencodeRunner;
pub use sessions::OtherDatabase;

/// How many of these lines of opencode's stream of events are of interest: for kugetsu's own benches,
/// and no part of what this crate promises.
#[doc(hidden)]
pub fn count_news(lines: &str) -> usize {
    lines.lines().filter(|line| matches!(wire::read_event(line), Ok(Some(_)))).count()
}

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
