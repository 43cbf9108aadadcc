//! Finding the program.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::AgentError;

/// The program: a path as it is, a name on this `PATH`.
pub(super) fn find(program: &Path, path: Option<OsString>) -> Result<PathBuf, AgentError> {
    let missing = |why: String| AgentError::Missing {
        program: program.display().to_string(),
        why: format!("{why}; install it, or say where it is"),
    };
    if program.components().count() > 1 {
        let absolute = std::path::absolute(program).map_err(|error| missing(error.to_string()))?;
        return match absolute.metadata() {
            Ok(file) if file.is_file() && is_executable(&absolute) => Ok(absolute),
            Ok(_) => Err(missing("it is not executable".into())),
            Err(error) => Err(missing(format!("it cannot be found ({error})"))),
        };
    }
    env::split_paths(&path.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| path.is_file() && is_executable(path))
        .ok_or_else(|| missing("it is not on PATH".into()))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}
