//! Ends whole process trees with their owner, however it dies.
//!
//! Whoever runs programs of others, such as coding agents, wants nothing of them to live on when
//! they are done, when they are stopped, or when the program that has started them is killed.
//! Agents run their tools in sessions of their own, so that no process group holds them, and many
//! have no signal handlers, so that their tools outlive them.
//!
//! Between owner and program stands the *guard*, a small process. It adopts whatever the tree loses
//! (it is a *child subreaper*), and ends all of it when the program exits, when its owner asks for
//! it, or when its owner is gone in whatever way: the owner holds the other end of a pipe, and the
//! kernel closes that. Should the guard itself be killed, the kernel ends the program with it, and
//! what is left carries a marker by which the next process of the owner's finds it.
//!
//! ```text
//! owner ─ pipe ─► guard (adopts what the tree loses) ─► program ─► whatever it starts, wherever that goes
//! ```
//!
//! | dies | then |
//! |---|---|
//! | the program | the guard ends all of its tree |
//! | the owner, in whatever way | the pipe closes, and the guard ends all of the tree |
//! | the guard | the kernel ends the program; [`Tree::wait`] ends whoever carries the tree's marker |
//! | owner and guard at once | the kernel ends the program; [`Trees::recover`] ends whoever carries the marker |
//!
//! The guard is the embedding program itself, started a second time: see [`main_if_asked`].
//!
//! ```no_run
//! use kugetsu_guard::{Input, Plan, Started, Trees};
//! use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // First in `main`: this very program is the guard, too.
//! kugetsu_guard::main_if_asked();
//!
//! // Private to the user, and shared by all processes that run such programs.
//! let trees = Trees::open("/home/me/.kugetsu/agents")?;
//! // Before anything is started. It blocks until what earlier processes left behind is gone.
//! trees.recover()?;
//!
//! // The program reads from a pipe that stays open as long as we keep it.
//! let (input, mut stdin) = Input::pipe()?;
//! let plan = Plan::new("agent", "/usr/bin/my-agent", "/home/me/worktree")
//!     .with_args(["--stdio"])
//!     .with_input(input);
//! let Started { mut tree, stdout, stderr, .. } = trees.start(plan).await?;
//! // What it says there is read, too, or it would wait for that in the end.
//! tokio::spawn(async move { tokio::io::copy(&mut { stderr }, &mut tokio::io::sink()).await });
//!
//! stdin.write_all(b"a question\n").await?;
//! let answer = BufReader::new(stdout).lines().next_line().await?;
//! tree.end();
//! tree.wait().await?;
//! # drop(answer); Ok(()) }
//! ```
//!
//! # Why not …
//!
//! * **… a process group, or a session?** Programs leave them.
//! * **… a control group?** It has to be handed to the user first, which is so on few machines.
//! * **… a namespace of process ids?** It needs privileges, or user namespaces, which many forbid.
//!
//! Linux only: it stands on pidfd, `/proc`, child subreapers and the parent's death signal.
#![warn(missing_docs, unreachable_pub)]

pub mod files;
pub mod label;
pub mod proc;
pub mod shell;

mod asked;
mod environment;
mod find;
mod header;
mod input;
mod marker;
mod owner;
mod plan;
mod program;
mod recovery;
mod spawn;
mod supervise;
mod tree;
mod trees;
mod usage;

pub use asked::{main, main_if_asked};
pub use environment::Environment;
pub use find::{NotFound, find_program};
pub use input::Input;
pub use plan::Plan;
pub use program::{GuardError, GuardProgram};
pub use recovery::{Ended, Leftover};
pub use tree::{StartError, Started, Tree};
pub use trees::Trees;
pub use usage::{Usage, machine_memory};

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
