//! Temporary homes for the programs that tests drive: a real opencode, and real git repositories.

mod opencode;
mod repository;

pub use opencode::{OpencodeSandbox, opencode_program};
pub use repository::SampleRepository;
