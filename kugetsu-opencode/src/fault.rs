//! How this crate's faults are told as core's.

use std::io;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::{Retry, Source};

/// Who is at fault, in every error of this crate.
pub(crate) const WHO: &str = "opencode";

/// The backend's own fault.
pub(crate) fn backend(
    operation: impl Into<String>,
    retry: Retry,
    source: impl Into<Source>,
) -> AgentError {
    AgentError::Backend {
        who: WHO.into(),
        operation: operation.into(),
        retry,
        source: source.into(),
    }
}

/// A fault of this machine, which may pass.
pub(crate) fn io(operation: impl Into<String>, source: io::Error) -> AgentError {
    backend(operation, Retry::Later, source)
}
