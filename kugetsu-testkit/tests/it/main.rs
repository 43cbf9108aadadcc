#![allow(clippy::unwrap_used, clippy::expect_used)]

mod core;
mod model;
mod sandbox;
mod suites;
