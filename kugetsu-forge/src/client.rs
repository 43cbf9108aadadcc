use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::forge::{Forge, ForgeError, Issue, IssueTracker, Proposal, PullRef, PullRequest};
use kugetsu_core::{IssueRef, Retry};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::ask::{Asker, Unsure};
use crate::http::{BadServer, Http};
use crate::kind::ForgeKind;
use crate::mark;
use crate::token::Token;
use crate::wire::{hub, lab};

/// One server's issues and pull requests.
///
/// Its promises are those of the [crate](crate) and of the two traits. It asks in the name of the
/// token's account, or as a stranger without one.
pub struct ForgeClient {
    pub(crate) asker: Asker,
    /// The account that the token belongs to, once it was asked for.
    me: OnceCell<Option<String>>,
    /// How long each of its four deeds may take.
    whole: Duration,
    /// Held by whoever looks for something and writes it if it is not there.
    writing: AsyncMutex<()>,
}

impl ForgeClient {
    /// A client for the server at this address, such as `https://git.example.com`. `http://` is only
    /// for this machine.
    pub fn new(kind: ForgeKind, server: &str, token: Option<Token>) -> Result<Self, BadServer> {
        let http = Http::new(server, Duration::from_secs(30))?;
        let who = server.split_once("://").map_or(server, |(_, rest)| rest);
        let asker = Asker {
            kind,
            who: who.trim_end_matches('/').to_owned(),
            root: kind.api_root(server),
            below: who.split_once('/').map_or("", |(_, path)| path.trim_matches('/')).to_owned(),
            token,
            http,
            pause: Duration::from_millis(500),
            patience: Duration::from_secs(5),
            forbidden: Mutex::new(None),
        };
        let whole = Duration::from_mins(5);
        Ok(Self { asker, me: OnceCell::new(), whole, writing: AsyncMutex::new(()) })
    }

    /// Waits so long before it reads again what did not come; twice as long before the third and
    /// last time. 500 ms unless set.
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.asker.pause = pause;
        self
    }

    /// Waits itself, once for each thing it reads, where the server asks for no longer a wait than
    /// this; a longer one is an error. 5 s unless set.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.asker.patience = patience;
        self
    }

    /// Gives a request up after `each`, and whatever it was for after `whole`, however many requests
    /// that takes. 30 s and 5 min unless set.
    pub fn with_limits(mut self, each: Duration, whole: Duration) -> Self {
        self.asker.http.limit = each;
        self.whole = whole;
        self
    }

    /// What the server speaks.
    pub fn kind(&self) -> ForgeKind {
        self.asker.kind
    }

    /// The account's name; `None` if it is not to be known.
    async fn me(&self) -> Result<Option<&str>, ForgeError> {
        let me = self
            .me
            .get_or_try_init(|| async {
                if self.asker.token.is_none() {
                    return Ok(None);
                }
                match self.asker.get::<Account>("the token's account", "/user").await {
                    Ok(account) => Ok(account.login.or(account.username)),
                    Err(ForgeError::NotFound { .. } | ForgeError::Denied { .. }) => Ok(None),
                    Err(other) => Err(other),
                }
            })
            .await?;
        Ok(me.as_deref())
    }

    /// The address of the comment with this mark. One by somebody else does not count, if it is to be
    /// known who we are: anybody can write a mark.
    async fn marked(&self, issue: &IssueRef, mark: &str) -> Result<Option<String>, ForgeError> {
        let me = self.me().await?;
        let all = match self.kind() {
            ForgeKind::GitHub | ForgeKind::Gitea => hub::said(&self.asker, issue).await?,
            ForgeKind::GitLab => lab::said(&self.asker, issue).await?,
        };
        let ours = |said: &Said| said.text.contains(mark) && me.is_none_or(|me| said.by == me);
        Ok(all.into_iter().find(ours).map(|said| said.address))
    }
}

/// A comment, as far as it has to be known to find a mark in it.
pub(crate) struct Said {
    pub(crate) by: String,
    pub(crate) text: String,
    pub(crate) address: String,
}

#[derive(serde::Deserialize)]
struct Account {
    login: Option<String>,
    username: Option<String>,
}

#[async_trait]
impl IssueTracker for ForgeClient {
    async fn fetch(&self, issue: &IssueRef) -> Result<Issue, ForgeError> {
        let read = async {
            match self.kind() {
                ForgeKind::GitHub | ForgeKind::Gitea => hub::fetch(&self.asker, issue).await,
                ForgeKind::GitLab => lab::fetch(&self.asker, issue).await,
            }
        };
        self.in_time("read", &format!("the issue {issue}"), read).await
    }

    async fn comment(&self, issue: &IssueRef, key: &str, text: &str) -> Result<String, ForgeError> {
        let written = self.comment_once(issue, key, text);
        self.in_time("write", &format!("a comment on {issue}"), written).await
    }
}

#[async_trait]
impl Forge for ForgeClient {
    async fn pull_request(&self, pull: &PullRef) -> Result<PullRequest, ForgeError> {
        let read = async {
            match self.kind() {
                ForgeKind::GitHub | ForgeKind::Gitea => hub::pull_request(&self.asker, pull).await,
                ForgeKind::GitLab => lab::pull_request(&self.asker, pull).await,
            }
        };
        self.in_time("read", &format!("the pull request {pull}"), read).await
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullRequest, ForgeError> {
        let what = format!("a pull request of {}", proposal.repository);
        self.in_time("write", &what, self.propose_once(proposal)).await
    }
}

impl ForgeClient {
    /// Whatever it is, it comes to an end. What it may have written by then is found by the next call.
    async fn in_time<T>(
        &self,
        verb: &str,
        what: &str,
        work: impl Future<Output = Result<T, ForgeError>> + Send,
    ) -> Result<T, ForgeError> {
        tokio::time::timeout(self.whole, Box::pin(work)).await.unwrap_or_else(|_| {
            let why = format!("it took longer than {} s", self.whole.as_secs_f32());
            Err(self.asker.about(what).failed(verb, Retry::Later, why))
        })
    }

    async fn comment_once(
        &self,
        issue: &IssueRef,
        key: &str,
        text: &str,
    ) -> Result<String, ForgeError> {
        let _writing = self.writing.lock().await;
        let mark = mark::of(key);
        if let Some(address) = self.marked(issue, &mark).await? {
            return Ok(address);
        }
        let text = mark::signed(text, &mark);
        let written = match self.kind() {
            ForgeKind::GitHub | ForgeKind::Gitea => hub::comment(&self.asker, issue, &text).await,
            ForgeKind::GitLab => lab::comment(&self.asker, issue, &text).await,
        };
        match written {
            Ok(address) => Ok(address),
            Err(Unsure { error, may_be_done: true }) => match self.marked(issue, &mark).await {
                Ok(Some(address)) => Ok(address),
                Ok(None) | Err(_) => Err(error),
            },
            Err(Unsure { error, .. }) => Err(error),
        }
    }

    async fn propose_once(&self, proposal: &Proposal) -> Result<PullRequest, ForgeError> {
        let _writing = self.writing.lock().await;
        if let Some(open) = self.proposed(proposal).await? {
            return Ok(open);
        }
        let made = match self.kind() {
            ForgeKind::GitHub | ForgeKind::Gitea => hub::propose(&self.asker, proposal).await,
            ForgeKind::GitLab => lab::propose(&self.asker, proposal).await,
        };
        match made {
            Ok(made) => Ok(made),
            Err(Unsure { error, may_be_done: true }) => match self.proposed(proposal).await {
                Ok(Some(open)) => Ok(open),
                Ok(None) | Err(_) => Err(error),
            },
            Err(Unsure { error, .. }) => Err(error),
        }
    }

    /// The open pull request that brings the proposal's branch.
    async fn proposed(&self, proposal: &Proposal) -> Result<Option<PullRequest>, ForgeError> {
        match self.kind() {
            ForgeKind::GitHub | ForgeKind::Gitea => hub::proposed(&self.asker, proposal).await,
            ForgeKind::GitLab => lab::proposed(&self.asker, proposal).await,
        }
    }
}

impl fmt::Debug for ForgeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForgeClient")
            .field("kind", &self.asker.kind)
            .field("server", &self.asker.who)
            .finish_non_exhaustive()
    }
}
