//! Stand-ins for everything that core leaves to others, for tests that need no real one.

mod agent;
mod slots;

pub use agent::{FakeAgent, FakeRun};
pub use slots::MemorySlots;
