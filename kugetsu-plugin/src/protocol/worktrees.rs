//! What a worktree provider is asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IssueDto, Method, Nothing};

/// Makes the worktree, or finds the one that is there.
pub(crate) struct Prepare;

impl Method for Prepare {
    const NAME: &'static str = "worktrees/prepare";
    type Params = PrepareParams;
    type Answer = WorktreeAnswer;
}

/// What state the worktree is in. Changes nothing.
pub(crate) struct Inspect;

impl Method for Inspect {
    const NAME: &'static str = "worktrees/inspect";
    type Params = IssueParams;
    type Answer = StatusAnswer;
}

/// Removes the worktree.
pub(crate) struct Remove;

impl Method for Remove {
    const NAME: &'static str = "worktrees/remove";
    type Params = RemoveParams;
    type Answer = Nothing;
}

/// All worktrees.
pub(crate) struct List;

impl Method for List {
    const NAME: &'static str = "worktrees/list";
    type Params = Nothing;
    type Answer = WorktreesAnswer;
}

/// Removes the halves that dead processes have left.
pub(crate) struct Recover;

impl Method for Recover {
    const NAME: &'static str = "worktrees/recover";
    type Params = Nothing;
    type Answer = RecoveredAnswer;
}

/// What worktree is wanted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrepareParams {
    /// For which issue.
    pub(crate) issue: IssueDto,
    /// Where the repository is cloned from: an address that git understands, or an absolute path.
    pub(crate) source: String,
    /// The branch that the work starts from; null is the remote's default branch. It may be any text.
    pub(crate) base: Option<String>,
}

/// About one issue.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IssueParams {
    /// Which issue.
    pub(crate) issue: IssueDto,
}

/// Which worktree is to go.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RemoveParams {
    /// The worktree of which issue.
    pub(crate) issue: IssueDto,
    /// What becomes of work that exists nowhere else.
    pub(crate) unsaved: UnsavedDto,
}

/// What becomes of work that exists nowhere else.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Unsaved")]
pub(crate) enum UnsavedDto {
    /// It is kept, and the removal refused as `unsaved_work`.
    Keep,
    /// It is lost.
    Discard,
}

/// A worktree that is there.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Worktree")]
pub(crate) struct WorktreeDto {
    /// Whose it is: the issue's `ref`.
    pub(crate) issue: String,
    /// Where it is: an absolute path without symbolic links.
    pub(crate) path: String,
    /// The branch that is checked out in it; `HEAD` if none is.
    pub(crate) branch: String,
    /// The directory of the repository that it belongs to: an absolute path.
    pub(crate) repository: String,
    /// Whether this call made it.
    #[serde(default)]
    pub(crate) created: bool,
}

/// The worktree.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WorktreeAnswer {
    /// The worktree.
    pub(crate) worktree: WorktreeDto,
}

/// The worktree's state.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct StatusAnswer {
    /// Null if there is no worktree.
    pub(crate) status: Option<StatusDto>,
}

/// What state a worktree is in.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WorktreeStatus")]
pub(crate) struct StatusDto {
    /// The worktree.
    pub(crate) worktree: WorktreeDto,
    /// The commit that is checked out, in hexadecimal; null in a repository without commits.
    #[serde(default)]
    pub(crate) head: Option<String>,
    /// The branch that `ahead` counts from.
    #[serde(default)]
    pub(crate) base: Option<String>,
    /// Files changed, added or deleted and not committed, untracked ones included, ignored ones not.
    pub(crate) dirty: u32,
    /// Commits on the branch that are not on the base.
    pub(crate) ahead: u32,
    /// Commits on the branch that are on no branch of the remote.
    pub(crate) unpushed: u32,
}

/// All worktrees.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct WorktreesAnswer {
    /// In any order; kugetsu sorts them.
    pub(crate) worktrees: Vec<WorktreeDto>,
}

/// What was removed.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RecoveredAnswer {
    /// A line for each half that was removed, for people.
    pub(crate) removed: Vec<String>,
}
