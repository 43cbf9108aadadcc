//! How this crate's faults are told as core's.

use std::io;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::{Retry, Source};

/// Who is at fault, in every error about one agent.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) String);

impl Who {
    /// The backend's own fault.
    pub(crate) fn backend(
        &self,
        operation: impl Into<String>,
        retry: Retry,
        source: impl Into<Source>,
    ) -> AgentError {
        AgentError::Backend {
            who: self.0.clone(),
            operation: operation.into(),
            retry,
            source: source.into(),
        }
    }

    /// A fault of this machine, which may pass.
    pub(crate) fn io(&self, operation: impl Into<String>, source: io::Error) -> AgentError {
        self.backend(operation, Retry::Later, source)
    }

    pub(crate) fn died(&self, detail: impl Into<String>) -> AgentError {
        AgentError::Died { who: self.0.clone(), detail: detail.into() }
    }

    pub(crate) fn unsupported(&self, operation: impl Into<String>) -> AgentError {
        AgentError::Unsupported { who: self.0.clone(), operation: operation.into() }
    }
}
