//! What plugins may do wrong, and what the sample does right.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;
mod faults;
mod promises;
mod schemas;
mod together;
mod tracker;
mod worktrees;
