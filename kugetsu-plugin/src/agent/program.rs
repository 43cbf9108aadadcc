//! Finding the program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kugetsu_core::AgentError;
use kugetsu_guard::find_program;

/// The program: a path as it is, a name on this `PATH`.
pub(super) fn find(program: &Path, path: Option<&OsStr>) -> Result<PathBuf, AgentError> {
    find_program(program, path).map_err(|why| AgentError::Missing {
        program: program.display().to_string(),
        why: format!("{why}; install it, or say where it is"),
    })
}
