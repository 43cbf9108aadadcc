//! criterion benches of kugetsu, each path beside its yardstick, what they share, and the report that
//! `scripts/bench` makes of them.

pub mod report;
pub mod stores;
