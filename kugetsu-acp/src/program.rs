//! Finding the agent's program.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::agent::AgentError;

use crate::config::AcpConfig;

/// The program to start: a path as it is, a name on the `PATH` that the agent will have.
pub(crate) fn find(config: &AcpConfig) -> Result<PathBuf, AgentError> {
    let missing = |program: String, why: &str| AgentError::Missing {
        program,
        why: format!("{why}; install it, or correct the command of the agent {}", config.id),
    };
    let Some(program) = config.command.first().filter(|program| !program.is_empty()) else {
        return Err(missing(config.id.to_string(), "it has no command"));
    };
    let program = Path::new(program);
    let told = || program.display().to_string();
    if program.components().count() > 1 {
        let path =
            std::path::absolute(program).map_err(|error| missing(told(), &error.to_string()))?;
        return match path.metadata() {
            Ok(_) if is_program(&path) => Ok(path),
            Ok(_) => Err(missing(told(), "it is not a program")),
            Err(_) => Err(missing(told(), "there is no such file")),
        };
    }
    let path = config.environment.value_of("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
        .ok_or_else(|| missing(told(), "it is not on PATH"))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
