//! What the workspace promises as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod growing;
mod msrv;
mod packages;
mod rustdoc;
mod surface;
mod workspace;
