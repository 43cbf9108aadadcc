//! kugetsu's promises as reusable tests, with fakes and a scripted model server.
//!
//! # Features
//!
//! | feature | brings | by default |
//! |---|---|---|
//! | `model` | the scripted model as a server, the program `kugetsu-model`, and a sandbox for the real opencode | |
//! | `forge` | a forge on loopback, and the promises of what talks to one | |
//! | `telegram` | Telegram's Bot API on loopback | |
//!
//! The suites and the fakes of the other traits need none of them; each brings an HTTP server.

#![cfg_attr(docsrs, feature(doc_cfg))]
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
