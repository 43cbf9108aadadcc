//! The words and promises of kugetsu.
//!
//! kugetsu runs a team of coding agents on a team's issues. This crate holds what everybody has to
//! agree on, and nothing that acts: the [types](ids), the [task] with the one function that
//! changes it, the [events](event), and the traits that a backend implements. It reads no clock,
//! file, environment variable or network and starts no task; time and chance are arguments.
//!
//! # The line
//!
//! ```text
//! enqueue ─► [slot] ─► claim (lease) ─► worktree ─► session ─► run ─► outcome ─► settle
//! ```
//!
//! | step | trait |
//! |---|---|
//! | slot | [`SlotPool`] |
//! | claim, settle | [`TaskQueue`] over a [`TaskStore`] |
//! | worktree | [`WorktreeProvider`] |
//! | session | [`SessionStore`], [`AgentSessions`] |
//! | run | [`AgentRunner`] |
//! | told to people | [`Notifier`] |
//!
//! Whoever wants issues worked on begins with `kugetsu-queue`'s `Engine`, which walks this line;
//! whoever writes a backend begins with its trait here, and proves it with `kugetsu-testkit`.
//!
//! # Why not …
//!
//! * **… native `async fn` in the traits?** They are used as `Arc<dyn …>` at every boundary, and
//!   native async functions are not dyn-compatible; generics would leak into every embedder.
//! * **… a queue trait?** Leases, fencing and retries are written once, in [`TaskQueue`]. A backend
//!   only has to commit a task and its events together, so its author cannot get them wrong.
//!
//! # Features
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `schema` | JSON Schemas of the types that are written down, by `schemars` | |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, unreachable_pub)]

pub mod agent;
pub mod error;
pub mod event;
pub mod forge;
pub mod ids;
pub mod issue;
pub mod memo;
pub mod memory;
pub mod notice;
pub mod queue;
pub mod session;
pub mod slot;
pub mod store;
pub mod task;
pub mod time;
pub mod worktree;

pub use agent::{
    AgentCapabilities, AgentControl, AgentError, AgentEvent, AgentEvents, AgentInfo, AgentRun,
    AgentRunner, AgentSession, AgentSessions, Conversation, Finish, NewAgentSession, Role,
    RunRequest, Stop, Usage,
};
pub use error::{Cause, Failure, Retry};
pub use event::{Event, Happening};
pub use forge::{
    Association, Author, Comment, Forge, ForgeError, Issue, IssueTracker, Proposal, PullRef,
    PullRequest, PullState,
};
pub use ids::{
    AgentId, AgentSessionId, Attempt, Cursor, Priority, Revision, SessionId, TaskId, WorkerId,
};
pub use issue::{InvalidIssueRef, IssueRef, RepoRef};
pub use memo::MemoStore;
pub use memory::{MemorySlots, MemoryStore};
pub use notice::{Notice, NoticeKind, Notifier, NotifyError, Severity};
pub use queue::{QueueError, Queued, TaskQueue};
pub use session::{Session, SessionError, SessionKind, SessionQuery, SessionState, SessionStore};
pub use slot::{Slot, SlotError, SlotGuard, SlotHolder, SlotKey, SlotPool};
pub use store::{EventLog, Expected, StoreError, TaskQuery, TaskStore};
pub use task::{
    AttemptEnd, AttemptRecord, Backoff, Change, IllegalChange, Lease, Outcome, Report, Request,
    Status, Task, TaskState,
};
pub use time::{Chance, Clock, Due, Moment, Tick, Timestamp};
pub use worktree::{
    Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec, WorktreeStatus,
};

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
