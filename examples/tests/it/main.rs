//! The examples do what they say, and the backends in them keep what is promised of such.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod embed;
mod moonlight;
mod notifier;
mod programs;
mod store;
mod worktrees;
