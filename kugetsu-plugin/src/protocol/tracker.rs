//! What a tracker is asked, and a forge.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::worktrees::IssueParams;
use super::{IssueDto, Method, RepositoryDto};

/// An issue with all its comments.
pub(crate) struct Fetch;

impl Method for Fetch {
    const NAME: &'static str = "tracker/fetch";
    type Params = IssueParams;
    type Answer = IssueAnswer;
}

/// Writes a comment, unless one with this key is there.
pub(crate) struct Comment;

impl Method for Comment {
    const NAME: &'static str = "tracker/comment";
    type Params = CommentParams;
    type Answer = AddressAnswer;
}

/// A pull request as it is now.
pub(crate) struct PullRequest;

impl Method for PullRequest {
    const NAME: &'static str = "forge/pull_request";
    type Params = PullParams;
    type Answer = PullAnswer;
}

/// Opens a pull request, unless an open one brings this branch already.
pub(crate) struct Propose;

impl Method for Propose {
    const NAME: &'static str = "forge/propose";
    type Params = ProposalDto;
    type Answer = PullAnswer;
}

/// A comment that is to be written at most once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CommentParams {
    /// On which issue.
    pub(crate) issue: IssueDto,
    /// The same for the same comment, however often it is asked for. Nobody has to see it.
    pub(crate) key: String,
    /// What it says.
    pub(crate) text: String,
}

/// Which pull request.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PullParams {
    /// Of which repository.
    pub(crate) repository: RepositoryDto,
    /// Its number.
    pub(crate) number: u64,
}

/// A pull request that is wanted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Proposal")]
pub(crate) struct ProposalDto {
    /// Of which repository.
    pub(crate) repository: RepositoryDto,
    /// The branch that it brings, which is there already.
    pub(crate) head: String,
    /// The branch that it is to be merged into; null is the default branch.
    pub(crate) base: Option<String>,
    /// Its title.
    pub(crate) title: String,
    /// Its text.
    pub(crate) text: String,
}

/// The issue.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IssueAnswer {
    /// The issue.
    pub(crate) issue: IssueTextDto,
}

/// What an issue says. All of its texts are taken for whatever strangers write.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Issue")]
pub(crate) struct IssueTextDto {
    /// Its address, for people.
    #[serde(default)]
    pub(crate) address: String,
    /// Its title.
    pub(crate) title: String,
    /// What it says.
    #[serde(default)]
    pub(crate) text: String,
    /// Who wrote it.
    pub(crate) author: AuthorDto,
    /// Whether it is open.
    pub(crate) open: bool,
    /// Its labels, as they are written.
    #[serde(default)]
    pub(crate) labels: Vec<String>,
    /// All that was said about it, oldest first.
    #[serde(default)]
    pub(crate) comments: Vec<CommentDto>,
}

/// Something that was said.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Comment")]
pub(crate) struct CommentDto {
    /// The tracker's own id of it.
    pub(crate) id: String,
    /// Who wrote it.
    pub(crate) author: AuthorDto,
    /// What it says.
    pub(crate) text: String,
    /// When it was written, in milliseconds since 1970 UTC.
    pub(crate) at: u64,
}

/// Who wrote something.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Author")]
pub(crate) struct AuthorDto {
    /// The account's name.
    pub(crate) name: String,
    /// What it is to the repository: `owner`, `member`, `collaborator`, `contributor` or `stranger`.
    /// Without one, and with any other word, it is a stranger.
    #[serde(default)]
    pub(crate) association: String,
}

/// Where something is to be seen.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AddressAnswer {
    /// Its address, for people.
    pub(crate) address: String,
}

/// The pull request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PullAnswer {
    /// The pull request.
    pub(crate) pull: PullDto,
}

/// A pull request as it is now.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "PullRequest")]
pub(crate) struct PullDto {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// Its address, for people.
    #[serde(default)]
    pub(crate) address: String,
    /// Its title.
    #[serde(default)]
    pub(crate) title: String,
    /// What has become of it.
    pub(crate) state: PullStateDto,
    /// The branch that it brings.
    pub(crate) head: String,
    /// The branch that it is to be merged into.
    pub(crate) base: String,
}

/// What has become of a pull request.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PullState")]
pub(crate) enum PullStateDto {
    /// It waits to be reviewed or merged.
    Open,
    /// Its changes are in.
    Merged,
    /// It was given up.
    Closed,
}
