//! The promises of the ACP runner, kept with a fake agent and with the real `opencode acp`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod asking;
mod ends;
mod fixture;
mod manners;
mod programs;
mod promises;
mod real;
mod sessions;
