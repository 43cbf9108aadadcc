//! The promises of the opencode runner, kept by the real opencode.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod asking;
mod care;
mod fixture;
mod pm;
mod probe;
mod promises;
mod server;
mod sessions;
mod turn;
mod untrusted;
