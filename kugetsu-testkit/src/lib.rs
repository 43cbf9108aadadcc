//! kugetsu's promises as reusable tests, with fakes and a scripted model server.
#![warn(missing_docs, unreachable_pub)]

pub mod fake;
#[cfg_attr(
    not(feature = "model"),
    allow(
        dead_code,
        unreachable_pub,
        reason = "the fake agent speaks what the model does, without its server"
    )
)]
pub mod model;
pub mod sandbox;
pub mod suite;

/// What the package's page says compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
