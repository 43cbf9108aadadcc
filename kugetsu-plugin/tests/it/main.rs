//! Agents that are programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod examples;
mod promises;
mod world;
