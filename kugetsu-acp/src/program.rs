//! Finding the agent's program.

use std::path::{Path, PathBuf};

use kugetsu_core::agent::AgentError;
use kugetsu_guard::find_program;

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
    find_program(program, config.environment.value_of("PATH").as_deref())
        .map_err(|why| missing(program.display().to_string(), &why.to_string()))
}
