//! Backends of one's own, as the programs in `src/bin` use them. Each passes its suite of
//! `kugetsu-testkit`, in `tests/it`.

pub mod agent;
pub mod moonlight;
pub mod notifier;
pub mod store;
pub mod worktrees;

/// The documents whose Rust is compiled and run as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/embedding.md")]
    struct Embedding;
}
