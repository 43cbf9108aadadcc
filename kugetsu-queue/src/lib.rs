//! Durable stores, slots and the line on which kugetsu's agents run.
//!
//! An [`Engine`] is what a program embeds. It stands on [`Backends`] and carries out requests: it
//! takes slots, claims a task under a lease, has the issue's worktree and session made or found,
//! runs the agent, and settles the task by the evidence.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use kugetsu_core::{AgentRunner, Request, WorkerId, WorktreeProvider};
//! use kugetsu_queue::{
//!     Backends, Engine, FileSlots, SlotLimits, SqliteStore, SystemChance, SystemClock, Wait,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn embed(
//! #     worktrees: Arc<dyn WorktreeProvider>,
//! #     agent: Arc<dyn AgentRunner>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let store = Arc::new(SqliteStore::open("state/kugetsu.db").await?);
//! let slots = Arc::new(FileSlots::open("state/slots", SlotLimits::new(3))?);
//! let time = (Arc::new(SystemClock::new()?) as _, Arc::new(SystemChance) as _);
//! // Tasks and sessions may live in one store. Worktrees and agent: kugetsu-git, kugetsu-opencode.
//! let backends = Backends::new((store.clone(), store), slots, worktrees, agent, time);
//! let engine = Engine::new(backends, WorkerId::new("my-host-1")?, "state/home");
//!
//! engine.init().await?; // the base session and the PM's; those that are there are kept
//! let request = Request::dev("github.com/acme/widgets#42".parse()?, "Fix the crash.");
//! let task = engine.start(request, Wait::Forever, CancellationToken::new(), |_| {}).await?;
//! println!("{}", task.status());
//! # Ok(())
//! # }
//! ```
//!
//! `start` answers `Ok` with the settled task whether the agent succeeded or not: its outcome says
//! which. `Err` means that nothing was started, or that its end is not known. What happens meanwhile
//! is read from the event log with [`WatchedStore::follow`].
//!
//! `start` works in the foreground: whoever calls it waits, and one attempt is made.
//! [`Engine::serve`] carries out what is queued, on the same line, and repeats what fails.
//!
//! # Features
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `sqlite` | [`SqliteStore`] and what looks after its file ([`sqlite::care`]); builds a `SQLite` along, which needs a C compiler | yes |
//!
//! Without it [`JsonStore`] is the durable store, or one of your own.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, unreachable_pub)]

mod bell;
mod blocking;
mod brief;
mod clock;
mod contents;
mod fault;
mod fence;
mod worker;

pub mod admission;
pub mod care;
pub mod context;
pub mod deliver;
pub mod engine;
pub mod gates;
pub mod hold;
pub mod inbox;
pub mod json;
pub mod line;
pub mod logs;
pub mod mask;
pub mod slots;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod watch;

pub use admission::{Admission, Lack, Look, Machine, ThisMachine};
pub use blocking::in_this_thread;
pub use brief::{Brief, Untrusted, brief};
pub use care::Records;
pub use clock::{SystemChance, SystemClock};
pub use contents::Contents;
pub use context::{Contexts, IssueContext, Said, Speaker};
pub use deliver::{Delivery, DeliveryError, SinkNews};
pub use engine::{Backends, Engine, Recovered, ServeError, Shutdown, StartError, Wait};
pub use hold::{Circuit, Hold, HoldKind, Holds};
pub use inbox::Inbox;
pub use json::JsonStore;
pub use line::rules::{Prompts, Verbosity};
pub use line::{Limits, Stage};
pub use logs::{LogFile, Logs};
pub use mask::Mask;
pub use slots::{FileSlots, SlotLimits};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use watch::{Follower, WatchedStore};
pub use worker::new_worker;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
