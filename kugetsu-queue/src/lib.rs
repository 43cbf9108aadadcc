//! Durable stores, slots and the line on which kugetsu's agents run.

#![warn(missing_docs, unreachable_pub)]

mod clock;
pub mod engine;
pub mod line;
pub mod slots;
pub mod sqlite;
pub mod watch;

pub use clock::{SystemChance, SystemClock};
pub use engine::{Backends, Engine, StartError, Wait};
pub use line::{Limits, Stage};
pub use slots::{FileSlots, SlotLimits};
pub use sqlite::SqliteStore;
pub use watch::{Follower, WatchedStore};
