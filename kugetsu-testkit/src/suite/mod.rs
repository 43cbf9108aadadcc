//! The promises of core's traits as tests that every backend passes.
//!
//! A backend author writes a *fixture*, which opens the backend as often as it is asked, each time
//! on the same place, as another process would. Each suite is then one line:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use kugetsu_core::{TaskStore, memory::MemoryStore};
//! # use kugetsu_testkit::suite::TaskStoreFixture;
//! struct Memory(Arc<MemoryStore>);
//!
//! #[async_trait::async_trait]
//! impl TaskStoreFixture for Memory {
//!     async fn open(&self) -> Arc<dyn TaskStore> {
//!         self.0.clone()
//!     }
//! }
//!
//! kugetsu_testkit::task_store_conformance!(Memory(Arc::default()));
//! ```
//!
//! The macro makes one `#[test]` of each promise, named like it. Its argument is evaluated anew for
//! each of them, in an async function on a runtime of its own, so that it may `.await`; the tests of
//! one suite run at once, so two fixtures share no directory and no port. Whatever a fixture has made
//! goes away with it. Two suites in one file stand in a module each. The same promises are there as data,
//! such as [`tasks::PROMISES`], for programs that check a backend: [`examine`] makes a [`Report`].
//!
//! | trait | fixture | macro | promises |
//! |---|---|---|---|
//! | [`TaskStore`](kugetsu_core::TaskStore) | [`TaskStoreFixture`] | `task_store_conformance!` | [`tasks::PROMISES`] |
//! | [`SessionStore`](kugetsu_core::SessionStore) | [`SessionStoreFixture`] | `session_store_conformance!` | [`sessions::PROMISES`] |
//! | [`AgentRunner`](kugetsu_core::AgentRunner) | [`AgentRunnerFixture`] | `agent_runner_conformance!` | [`agents::PROMISES`] |
//! | [`WorktreeProvider`](kugetsu_core::WorktreeProvider) | [`WorktreeFixture`] | `worktree_provider_conformance!` | [`worktrees::PROMISES`] |
//! | [`SlotPool`](kugetsu_core::SlotPool) | [`SlotPoolFixture`] | `slot_pool_conformance!` | [`slots::PROMISES`] |
//! | [`MemoStore`](kugetsu_core::MemoStore) | [`MemoStoreFixture`] | `memo_store_conformance!` | [`memos::PROMISES`] |
//! | [`IssueTracker`](kugetsu_core::IssueTracker), [`Forge`](kugetsu_core::Forge) (feature `forge`) | [`ForgeFixture`] | `forge_conformance!` | [`forges::PROMISES`] |
//! | [`Notifier`](kugetsu_core::Notifier) | [`NotifierFixture`] | `notifier_conformance!` | [`notices::PROMISES`] |

pub mod agents;
#[cfg(feature = "forge")]
pub mod forges;
pub mod memos;
pub mod notices;
mod promise;
mod report;
mod sample;
pub mod sessions;
pub mod slots;
pub mod tasks;
pub mod worktrees;

pub use agents::{AgentRunnerFixture, Deed};
#[cfg(feature = "forge")]
pub use forges::ForgeFixture;
pub use memos::MemoStoreFixture;
pub use notices::NotifierFixture;
#[doc(hidden)]
pub use promise::hold;
pub use promise::{Broken, Promise};
pub use report::{Check, Report, Verdict, examine};
pub use sessions::SessionStoreFixture;
pub use slots::SlotPoolFixture;
pub use tasks::TaskStoreFixture;
pub use worktrees::WorktreeFixture;
