//! What the tools are asked, as their schemas say it.

use rmcp::schemars::{self, JsonSchema};
use serde::Deserialize;

/// Nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Also the repositories' copies of the base, and worktrees without a session.
    #[serde(default)]
    pub(super) all: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    /// Also the tasks that are settled.
    #[serde(default)]
    pub(super) all: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Notices {
    /// Also those that were read.
    #[serde(default)]
    pub(super) all: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    /// The task's id, or the first 8 or more characters of it.
    pub(super) task: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// The issue (its URL, host/owner/repo#7, or owner/repo#7), a task's id, or `pm`.
    pub(super) what: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// Whose newest log to show: an issue, `pm`, or a task's id. Without it the last logs are listed.
    pub(super) what: Option<String>,
    /// How many lines of it, its last [default: 100].
    pub(super) lines: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7 on the default server.
    pub(super) issue: String,
    /// What its agent is to do: complete in itself.
    pub(super) message: String,
    /// The higher, the sooner [default: 0].
    pub(super) priority: Option<i16>,
    /// Not before this time has passed, such as 30m or 2h.
    pub(super) after: Option<String>,
    /// A name of your own for it: asking again under the same one is asking once.
    pub(super) key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Continue {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7 on the default server.
    pub(super) issue: String,
    /// What its agent is told [default: Continue where you left off.].
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// The issue: its URL, host/owner/repo#7, or owner/repo#7 on the default server.
    pub(super) issue: String,
}
