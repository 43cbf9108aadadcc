//! criterion benches of kugetsu, each path beside its yardstick, what they share, and the report that
//! `scripts/bench` makes of them.

mod processes;
pub mod report;
pub mod stores;

pub use processes::{Crowd, Said, kugetsu, median};
