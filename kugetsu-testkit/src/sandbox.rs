//! Temporary homes for the programs that tests drive: a real opencode, and real git repositories.

#[cfg(feature = "model")]
mod opencode;
mod repository;

#[cfg(feature = "model")]
pub use opencode::{OpencodeSandbox, opencode_program};
pub use repository::SampleRepository;
