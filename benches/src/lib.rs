//! criterion benches of kugetsu, and what several of them need.

pub mod stores;
