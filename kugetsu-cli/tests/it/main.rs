//! What the command promises.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod real;
