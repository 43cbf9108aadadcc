//! Stand-ins for everything that core leaves to others, for tests that need no real one.

mod acp;
mod agent;
mod chance;
mod clock;
mod forge;
mod notifier;
mod slots;
mod strict;
mod telegram;
mod worktrees;

pub use acp::FakeAcp;
pub use agent::{FakeAgent, FakeRun};
pub use chance::{FixedChance, SeededChance};
pub use clock::ManualClock;
pub use forge::{FakeForge, ForgeApi, ForgeFault, ForgeRequest};
pub use notifier::RecordingNotifier;
pub use slots::MemorySlots;
pub use strict::{Fault, Operation, StrictStore};
pub use telegram::{FakeBotApi, SentMessage};
pub use worktrees::FakeWorktrees;
