//! What went wrong, and whether trying again could help.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether a failed attempt is worth repeating.
///
/// Serialised as `{"retry":"never"}`, `{"retry":"later"}` or `{"retry":"after","millis":1500}`.
///
/// Exhaustive: whoever repeats something has to have an answer to each, and the format has no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "retry", rename_all = "snake_case")]
pub enum Retry {
    /// The same attempt would fail in the same way: a bad reference, a refused key.
    Never,
    /// A fault that passes: a locked database, a server that is down.
    Later,
    /// A fault that passes no sooner than this, such as a rate limit with a `Retry-After`.
    After {
        /// How long to wait, in milliseconds.
        millis: u64,
    },
}

impl Retry {
    /// A retry no sooner than `wait`.
    pub fn after(wait: Duration) -> Self {
        Self::After { millis: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Whether another attempt may be made at all.
    pub fn is_possible(self) -> bool {
        !matches!(self, Self::Never)
    }

    /// The least time to wait before another attempt.
    pub fn wait(self) -> Duration {
        match self {
            Self::Never | Self::Later => Duration::ZERO,
            Self::After { millis } => Duration::from_millis(millis),
        }
    }
}

/// Whose fault a failure is, and so whether it costs an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The attempt's own. Costs one.
    #[default]
    Attempt,
    /// Something around it that has nothing to do with the task: a store that is busy, a disk that
    /// is full, a process that died. The first [five](crate::Task::FREE_INTERRUPTIONS) of a task
    /// cost nothing.
    Interruption,
    /// The model's provider takes no more until some time has passed. Costs nothing, and holds
    /// whatever else would ask the same provider.
    Limit {
        /// Which provider, in the agent's words.
        provider: String,
    },
}

impl Cause {
    fn is_attempt(&self) -> bool {
        *self == Self::Attempt
    }
}

/// Why an attempt did not succeed, in words for people and with advice for the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{reason}")]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong, naming the thing. Holds no secret.
    pub reason: String,
    /// Whether another attempt could help.
    pub retry: Retry,
    /// Whose fault it is.
    #[serde(default, skip_serializing_if = "Cause::is_attempt")]
    pub cause: Cause,
}

impl Failure {
    /// A failure that no further attempt would mend.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self::new(reason, Retry::Never)
    }

    /// A failure that may pass.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::new(reason, Retry::Later)
    }

    /// A failure with the advice given.
    pub fn new(reason: impl Into<String>, retry: Retry) -> Self {
        Self { reason: reason.into(), retry, cause: Cause::Attempt }
    }

    /// Something came in between that is not the attempt's fault.
    pub fn interruption(reason: impl Into<String>) -> Self {
        Self::passing(reason).with_cause(Cause::Interruption)
    }

    /// The model's provider takes no more until `wait` has passed.
    pub fn limit(provider: impl Into<String>, reason: impl Into<String>, wait: Duration) -> Self {
        let cause = Cause::Limit { provider: provider.into() };
        Self::new(reason, Retry::after(wait)).with_cause(cause)
    }

    /// Whose fault it is.
    pub fn with_cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }
}

/// An error from below, boxed so that no backend's type shows in core's surface.
pub type Source = Box<dyn std::error::Error + Send + Sync + 'static>;
