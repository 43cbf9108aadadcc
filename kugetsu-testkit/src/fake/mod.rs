//! Stand-ins for everything that core leaves to others, for tests that need no real one.

mod slots;

pub use slots::MemorySlots;
