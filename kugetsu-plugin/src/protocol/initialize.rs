//! The first request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Method;

/// Comes first, and nothing else comes before its answer.
pub(crate) struct Initialize;

impl Method for Initialize {
    const NAME: &'static str = "initialize";
    type Params = InitializeParams;
    type Answer = InitializeResult;
}

/// What a plugin is told first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InitializeParams {
    /// `kugetsu.plugin`.
    pub(crate) protocol: String,
    /// 1.
    pub(crate) version: u32,
    /// The version of kugetsu, for people.
    pub(crate) kugetsu: String,
    /// A directory for the plugin alone, in which it keeps what it has to remember: an absolute path.
    /// It is there, nobody else can enter it, and it is the plugin's current directory. Several
    /// processes of the plugin may use it at once.
    pub(crate) directory: String,
}

/// What a plugin says of itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[allow(dead_code, reason = "the version is read before anything else is")]
pub(crate) struct InitializeResult {
    /// `kugetsu.plugin`.
    pub(crate) protocol: String,
    /// The version that the plugin speaks: 1.
    pub(crate) version: u32,
    /// Who it is.
    pub(crate) plugin: About,
    /// What it is, and what it can.
    pub(crate) kinds: Kinds,
}

/// Who a plugin is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct About {
    /// Its name, for people.
    pub(crate) name: String,
    /// Its own version, for people.
    #[serde(default)]
    pub(crate) version: String,
}

/// What a plugin is: a field for each kind of backend, with what it can beyond the least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Kinds {
    /// It makes worktrees.
    pub(crate) worktrees: Option<WorktreesKind>,
    /// It reads issues and comments on them.
    pub(crate) tracker: Option<TrackerKind>,
}

/// What a worktree provider can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct WorktreesKind {
    /// Has the method `worktrees/recover`.
    pub(crate) recover: bool,
}

/// What a tracker can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TrackerKind {
    /// Has the methods `forge/pull_request` and `forge/propose`.
    pub(crate) forge: bool,
}
