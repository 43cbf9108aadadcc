//! Runs any agent that speaks the Agent Client Protocol over its standard streams, as kugetsu's
//! coding agent: opencode, Gemini CLI, and by their adapters Claude Code and Codex.
//!
//! [`AcpRunner`] is an [`AgentRunner`](kugetsu_core::AgentRunner). All it has to know is a command:
//!
//! ```no_run
//! use kugetsu_acp::{AcpConfig, AcpRunner, Environment};
//! use kugetsu_core::{AgentId, AgentRunner as _, RunRequest};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // Nothing that an agent starts outlives this process: the guard, which is this very program
//! // started a second time, sees to that. Call it before anything else.
//! kugetsu_guard::main_if_asked();
//!
//! let id = AgentId::new("acp:gemini")?;
//! let config = AcpConfig::new(id, ["gemini", "--experimental-acp"], "/home/me/.kugetsu/acp/gemini")
//!     .with_environment(Environment::new().with("NO_COLOR", "1"));
//! let run = AcpRunner::new(config)
//!     .start(RunRequest::new("/home/me/worktree", "Fix the typo"))
//!     .await?;
//! # drop(run); Ok(()) }
//! ```
//!
//! # The line of a run
//!
//! ```text
//! lock the session ─► start the program ─► initialize ─► session/new, resume, load or fork ─► verify ─► write down ─► session/prompt
//!      └───────────── the session's directory is compared before, and by what the agent lists ─────────────┘
//! ```
//!
//! | what the agent tells | the event |
//! |---|---|
//! | `agent_message_chunk`, `agent_thought_chunk` | `Message`, `Thought`: pieces of a line as one |
//! | `tool_call`, `tool_call_update` | `ToolStarted` once it is known what for, `ToolEnded` once |
//! | `usage_update` | `Usage`: by how much the context has grown, and what that cost, since the last one, over all turns of the session |
//! | `session/request_permission` | answered at once; `Asked` if it was refused |
//! | plans, modes, commands, titles | nothing: they are for who sits before an editor |
//! | an update of a kind that nobody knows | `Unknown`, its type with `acp_` before it |
//! | the end of the turn, with something said or done | `Finished`: done |
//! | … with nothing said or done, or right after a refusal | `Finished`: failed, the second for good |
//! | `max_tokens`, `max_turn_requests`, `refusal`, `cancelled` | `Finished`: failed, `refusal` for good |
//! | an error | `Finished`: failed; limits, refused keys and the rest are told apart by status and words |
//! | its process ends, or says what nobody understands | an error with its program, its status and its last words |
//!
//! Reading and writing files and running terminals for the agent is not offered: it does that itself,
//! in its own process tree, under its guard.
//!
//! # What dies with what
//!
//! ```text
//! kugetsu ─ pipe ─► guard (adopts what the tree loses) ─► the agent ─► whatever it starts
//! ```
//!
//! | dies | then |
//! |---|---|
//! | a run, by a polite stop | `session/cancel`, and when the agent has answered, or in [`Limits::stop`] at the latest, its whole tree |
//! | a run, by force or by drop | the whole tree at once |
//! | a turn, by itself | the agent's input is closed; what has not ended in [`Limits::grace`] is ended, before the run's last event is told |
//! | the agent | the guard ends all of its tree; the run ends with an error |
//! | kugetsu, in whatever way | the guard ends all of the tree, which holds the run's slots until then |
//!
//! # Why not …
//!
//! * **… one process for all runs?** It would save an agent's start (opencode's: some seconds and 350
//!   MB) and cost what a process of its own gives: it works in the run's directory, holds the run's slots
//!   itself, and is gone with all that it started when the run is. No word of the agent's has to
//!   be believed for that. Where starts are dear, an agent has a runner of its own, as opencode has.
//! * **… forks by default?** Some agents fork into the origin's directory and say nothing
//!   ([`AcpConfig::forks`]).
//! * **… `AgentSessions`?** The protocol knows no way to brief a session without asking the model.
//! * **… the PM?** No agent can be held to reading over this protocol: what it does not ask, nobody
//!   refuses ([`AcpConfig::trusted_as_pm`]).
//! * **… the protocol crate's own processes and queues?** A process of ours has a guard, and a queue
//!   an end.
//!
//! No type of the protocol's crate is seen here: its versions follow each other fast.
//!
//! Linux only, as [`kugetsu_guard`] is.
#![warn(missing_docs, unreachable_pub)]

pub mod config;

mod failure;
mod fault;
mod process;
mod program;
mod records;
mod run;
mod runner;
mod sessions;
mod talk;
mod text;

pub use config::{AcpConfig, Limits, Permissions, UnknownPermissions};
pub use kugetsu_guard::{Ended, Environment, GuardProgram, Leftover};
pub use runner::AcpRunner;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
