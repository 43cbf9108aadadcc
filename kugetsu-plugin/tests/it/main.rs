//! Agents that are programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod promises;
mod world;
