//! `docs/benchmarks.md`, made of what criterion has measured.
//!
//! A group is a path; within it the function whose name begins with `yardstick: ` is what the others
//! are compared with. Only ratios within a group are told as results: times differ from machine to
//! machine, and on a shared one from hour to hour.

pub mod agents;
pub mod machine;
pub mod measured;
pub mod page;
pub mod targets;
