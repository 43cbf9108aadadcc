//! A team of coding agents on a team's issues: the crates of kugetsu, put together.
//!
//! [`Kugetsu`] is what a program embeds. Its [builder](Kugetsu::builder) puts the backends together;
//! whatever is not given is in memory, or in the directory that it is given. It needs no daemon, no
//! command and no home directory.
//!
//! ```
//! use kugetsu::{Kugetsu, Request};
//! use kugetsu_testkit::fake::{FakeAgent, FakeWorktrees};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! let kugetsu = Kugetsu::builder()
//!     .agent(FakeAgent::new()) // or kugetsu::opencode, kugetsu::acp, an agent of your own
//!     .worktrees(FakeWorktrees::new(place.path().canonicalize()?).with_samples())
//!     .at_once(2)
//!     .build()
//!     .await?;
//!
//! let request = Request::dev("github.com/acme/widgets#42".parse()?, "MODEL: say Done.");
//! let task = kugetsu.enqueue(request).await?;
//! let task = kugetsu.run_until(kugetsu.settled(task.id)).await??;
//!
//! assert_eq!(task.status(), kugetsu::Status::Completed);
//! # Ok(())
//! # }
//! ```
//!
//! # One limit for all
//!
//! With [`Builder::directory`], several embedders and the command `kugetsu` work on one store and one
//! directory of slots at once: what one enqueues another may carry out, and together they never have
//! more agents at work than the limit. It is the directory that the command knows as `KUGETSU_DIR`.
//!
//! # Features
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `sqlite` | a durable store in the directory of the builder | yes |
//! | `git` | worktrees in that directory, by `kugetsu-git` | yes |
//! | `opencode` | opencode as the agent, by `kugetsu-opencode` | yes |
//! | `acp` | agents that speak the Agent Client Protocol | |
//! | `plugin` | agents, worktrees and trackers that are programs in any language | |
//! | `notify` | sinks for notices: a command, a webhook, Telegram | |
//! | `forge` | issues and pull requests on forges | |
//!
//! Without any of them there are the traits, the line, and everything in memory.
//!
//! Whoever has agents that are programs calls `guard::main_if_asked` first in its `main`.

#![warn(missing_docs, unreachable_pub)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod embedded;
mod place;
mod serving;

pub use builder::{BuildError, Builder};
pub use embedded::{EmbedError, Kugetsu};
pub use serving::Trouble;

pub use kugetsu_core as core;
pub use kugetsu_core::{
    AgentId, Cursor, Event, Happening, IssueRef, Outcome, Priority, RepoRef, Report, Request,
    Status, Task, TaskId,
};
pub use kugetsu_queue as queue;
pub use kugetsu_queue::{Follower, Wait};

#[cfg(feature = "acp")]
pub use kugetsu_acp as acp;
#[cfg(feature = "forge")]
pub use kugetsu_forge as forge;
#[cfg(feature = "git")]
pub use kugetsu_git as git;
#[cfg(any(feature = "acp", feature = "opencode", feature = "plugin"))]
pub use kugetsu_guard as guard;
#[cfg(feature = "notify")]
pub use kugetsu_notify as notify;
#[cfg(feature = "opencode")]
pub use kugetsu_opencode as opencode;
#[cfg(feature = "plugin")]
pub use kugetsu_plugin as plugin;
