#![allow(clippy::unwrap_used, clippy::expect_used)]

mod core;
mod fakes;
mod model;
mod promises;
mod report;
mod sandbox;
mod suites;
mod teeth;
