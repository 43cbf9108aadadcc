//! Issues and pull requests by a plugin.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{
    Association, Author, Comment, Forge, ForgeError, Issue, IssueRef, IssueTracker, Proposal,
    PullRef, PullRequest, PullState, RepoRef, Retry, Timestamp,
};

use crate::error::PluginError;
use crate::plugin::{Failed, Plugin, PluginInfo, Refused};
use crate::protocol::{
    self, AuthorDto, CommentDto, CommentParams, Fetch, IssueDto, IssueParams, IssueTextDto, Method,
    ProposalDto, Propose, PullDto, PullParams, PullStateDto, RepositoryDto,
};

/// How long a tracker is left alone that says that it is at its limit and not for how long.
const A_WHILE: Duration = Duration::from_mins(1);

/// Issues that a [plugin](Plugin) reads and comments on, and pull requests, if the plugin knows them.
///
/// The first use of a [`Forge`]'s methods with a plugin that has none is
/// [`Unsupported`](ForgeError::Unsupported).
#[derive(Clone)]
pub struct PluginTracker {
    plugin: Plugin,
}

impl PluginTracker {
    /// The tracker that this plugin is.
    pub fn new(plugin: Plugin) -> Self {
        Self { plugin }
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn ask<M: Method>(
        &self,
        params: &M::Params,
        needs: (&'static str, fn(&PluginInfo) -> bool),
        about: &About<'_>,
    ) -> Result<M::Answer, ForgeError> {
        let asked = async {
            let info = self.plugin.as_kind("tracker", PluginInfo::is_tracker).await?;
            if !(needs.1)(&info) {
                return Ok(None);
            }
            self.plugin.ask::<M>(params).await.map(Some)
        };
        match asked.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(ForgeError::Unsupported {
                who: self.plugin.who(),
                operation: needs.0.to_owned(),
            }),
            Err(Failed::Refused(refused)) => Err(self.refused(&refused, about)),
            Err(Failed::Plugin(error)) => Err(self.fault(error, about)),
        }
    }

    fn refused(&self, refused: &Refused, about: &About<'_>) -> ForgeError {
        let why = refused.message.clone();
        match refused.kind() {
            "missing" => ForgeError::NotFound { what: about.thing() },
            "denied" => ForgeError::Denied { what: about.operation(), why },
            "limited" => {
                let wait = match refused.data.retry {
                    Some(retry @ Retry::After { .. }) => retry.wait(),
                    _ => A_WHILE,
                };
                let wait_millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                ForgeError::Limited { forge: self.plugin.who(), wait_millis }
            }
            "unsupported" => {
                ForgeError::Unsupported { who: self.plugin.who(), operation: about.operation() }
            }
            _ => {
                let (plugin, retry) = (self.plugin.name().to_owned(), refused.retry());
                self.fault(PluginError::Refused { plugin, message: why, retry }, about)
            }
        }
    }

    fn fault(&self, error: PluginError, about: &About<'_>) -> ForgeError {
        let (who, retry) = (self.plugin.who(), error.retry());
        ForgeError::Backend { who, operation: about.operation(), retry, source: error.into() }
    }

    fn pull<M: Method>(
        &self,
        repository: &RepoRef,
        told: PullDto,
        about: &About<'_>,
    ) -> Result<PullRequest, ForgeError> {
        let Some(pull) = PullRef::new(repository.clone(), told.number) else {
            return Err(self.fault(self.plugin.garbled(M::NAME, "its number is 0"), about));
        };
        if let About::Pull(asked) = about
            && **asked != pull
        {
            return Err(self.fault(self.plugin.garbled(M::NAME, format!("it is {pull}")), about));
        }
        let state = match told.state {
            PullStateDto::Open => PullState::Open,
            PullStateDto::Merged => PullState::Merged,
            PullStateDto::Closed => PullState::Closed,
        };
        let mut found = PullRequest::new(pull, state, told.head, told.base);
        (found.address, found.title) = (told.address, told.title);
        Ok(found)
    }
}

const TRACKS: (&str, fn(&PluginInfo) -> bool) = ("read issues", PluginInfo::is_tracker);
const PULLS: (&str, fn(&PluginInfo) -> bool) = ("open pull requests", PluginInfo::is_forge);

#[async_trait]
impl IssueTracker for PluginTracker {
    async fn fetch(&self, issue: &IssueRef) -> Result<Issue, ForgeError> {
        let params = IssueParams { issue: IssueDto::of(issue) };
        let answer = self.ask::<Fetch>(&params, TRACKS, &About::Fetch(issue)).await?;
        Ok(read(issue, answer.issue))
    }

    async fn comment(&self, issue: &IssueRef, key: &str, text: &str) -> Result<String, ForgeError> {
        let (key, text) = (key.to_owned(), text.to_owned());
        let params = CommentParams { issue: IssueDto::of(issue), key, text };
        let about = About::Comment(issue);
        Ok(self.ask::<protocol::Comment>(&params, TRACKS, &about).await?.address)
    }
}

#[async_trait]
impl Forge for PluginTracker {
    async fn pull_request(&self, pull: &PullRef) -> Result<PullRequest, ForgeError> {
        let repository = RepositoryDto::of(pull.repository());
        let params = PullParams { repository, number: pull.number() };
        let about = About::Pull(pull);
        let answer = self.ask::<protocol::PullRequest>(&params, PULLS, &about).await?;
        self.pull::<protocol::PullRequest>(pull.repository(), answer.pull, &about)
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullRequest, ForgeError> {
        let params = ProposalDto {
            repository: RepositoryDto::of(&proposal.repository),
            head: proposal.head.clone(),
            base: proposal.base.clone(),
            title: proposal.title.clone(),
            text: proposal.text.clone(),
        };
        let about = About::Propose(proposal);
        let answer = self.ask::<Propose>(&params, PULLS, &about).await?;
        self.pull::<Propose>(&proposal.repository, answer.pull, &about)
    }
}

impl fmt::Debug for PluginTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginTracker").field(&self.plugin).finish()
    }
}

fn read(issue: &IssueRef, told: IssueTextDto) -> Issue {
    let mut read = Issue::new(issue.clone(), told.title, author(told.author));
    (read.address, read.text, read.open) = (told.address, told.text, told.open);
    read.labels = told.labels;
    let comment = |told: CommentDto| {
        let at = Timestamp::from_millis(told.at);
        Comment::new(told.id, author(told.author), told.text, at)
    };
    read.comments = told.comments.into_iter().map(comment).collect();
    read
}

fn author(told: AuthorDto) -> Author {
    let association = match told.association.as_str() {
        "owner" => Association::Owner,
        "member" => Association::Member,
        "collaborator" => Association::Collaborator,
        "contributor" => Association::Contributor,
        _ => Association::Stranger,
    };
    Author::new(told.name, association)
}

/// What the plugin is asked for.
enum About<'a> {
    Fetch(&'a IssueRef),
    Comment(&'a IssueRef),
    Pull(&'a PullRef),
    Propose(&'a Proposal),
}

impl About<'_> {
    /// In words that follow "could not".
    fn operation(&self) -> String {
        match self {
            Self::Fetch(issue) => format!("read {issue}"),
            Self::Comment(issue) => format!("comment on {issue}"),
            Self::Pull(pull) => format!("read {pull}"),
            Self::Propose(proposal) => {
                format!("open a pull request of {} at {}", proposal.head, proposal.repository)
            }
        }
    }

    fn thing(&self) -> String {
        match self {
            Self::Fetch(issue) | Self::Comment(issue) => issue.to_string(),
            Self::Pull(pull) => pull.to_string(),
            Self::Propose(proposal) => proposal.repository.to_string(),
        }
    }
}
