//! The types and functions of core. Its tests are here so that it has no dependencies of its own
//! for them.

mod due;
mod events;
mod golden;
mod issues;
mod names;
mod notices;
mod pulls;
mod queue;
mod tasks;
