//! kugetsu's promises as reusable tests, with fakes and a scripted model server.
#![warn(missing_docs, unreachable_pub)]

pub mod fake;
pub mod model;
pub mod sandbox;
pub mod suite;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
