//! Backends that are programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod examples;
mod fake;
mod faults;
mod promises;
mod sample;
mod schemas;
mod together;
mod tracker;
mod worktrees;
mod world;
