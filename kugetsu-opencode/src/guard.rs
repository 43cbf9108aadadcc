//! The guard of the process trees, from the crate `kugetsu-guard`.

pub use kugetsu_guard::{GuardError, GuardProgram, main, main_if_asked};
