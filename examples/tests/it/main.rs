//! The examples do what they say.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod custom_agent;
mod embed;
