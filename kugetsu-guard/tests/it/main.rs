//! The guard, by its protocol and by its owner's side.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod guard;
mod owner;
mod usage;
