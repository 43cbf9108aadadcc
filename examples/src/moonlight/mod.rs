//! What `docs/writing-a-backend.md` shows, as it stands there: a test compares.

mod lines;
mod runner;

pub use lines::Lines;
pub use runner::{Mind, Moonlight};
