//! Stand-ins for everything that core leaves to others, for tests that need no real one.

mod acp;
mod agent;
mod chance;
mod clock;
#[cfg(feature = "forge")]
mod forge;
mod notifier;
mod strict;
#[cfg(feature = "telegram")]
mod telegram;
mod worktrees;

pub use acp::FakeAcp;
pub use agent::{FakeAgent, FakeRun};
pub use chance::{FixedChance, SeededChance};
pub use clock::ManualClock;
#[cfg(feature = "forge")]
pub use forge::{FakeForge, ForgeApi, ForgeFault, ForgeRequest};
pub use notifier::RecordingNotifier;
pub use strict::{StoreFault, StoreOperation, StrictStore};
#[cfg(feature = "telegram")]
#[doc(hidden)]
pub use telegram::{FakeBotApi, SentMessage};
pub use worktrees::FakeWorktrees;
