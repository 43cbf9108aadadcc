#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;
mod sandbox;
mod suites;
