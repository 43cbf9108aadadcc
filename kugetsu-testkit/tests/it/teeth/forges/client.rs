//! A small client of GitHub's API, which keeps all promises unless it has a fault.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kugetsu_core::{
    Association, Author, Comment, Forge, ForgeError, Issue, IssueRef, IssueTracker, Proposal,
    PullRef, PullRequest, PullState, RepoRef, Retry, Timestamp,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

pub(super) struct Client {
    fault: &'static str,
    root: String,
    token: String,
    http: reqwest::Client,
    forbidden: Mutex<Option<Instant>>,
    writing: AsyncMutex<()>,
}

/// What went wrong, and whether what was to be written may be written all the same.
struct Unsure(ForgeError, bool);

impl From<ForgeError> for Unsure {
    fn from(error: ForgeError) -> Self {
        Self(error, false)
    }
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct IssueDocument {
    title: String,
    body: Option<String>,
    user: User,
    state: String,
    html_url: String,
    author_association: Option<String>,
    labels: Option<Vec<Label>>,
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct CommentDocument {
    id: u64,
    body: String,
    user: User,
    html_url: String,
    created_at: String,
    author_association: String,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Deserialize)]
struct PullDocument {
    number: u64,
    title: String,
    state: String,
    merged: bool,
    html_url: String,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct RepositoryDocument {
    default_branch: String,
}

impl Client {
    pub(super) fn new(fault: &'static str, root: String, token: &str) -> Self {
        let redirects = match fault {
            "follows redirections" => Policy::limited(3),
            _ => Policy::none(),
        };
        let http = reqwest::Client::builder().redirect(redirects).build().unwrap();
        let (forbidden, writing) = (Mutex::default(), AsyncMutex::default());
        Self { fault, root, token: token.to_owned(), http, forbidden, writing }
    }

    fn is(&self, fault: &str) -> bool {
        self.fault == fault
    }

    fn failed(&self, what: &str, retry: Retry, why: impl Into<String>) -> ForgeError {
        let source = why.into().replace(&self.token, "***").into();
        ForgeError::Backend { who: "the client".into(), operation: what.into(), retry, source }
    }

    async fn send(
        &self,
        what: &str,
        method: Method,
        address: &str,
        body: &Value,
    ) -> Result<Response, ForgeError> {
        let forbidden = *self.forbidden.lock().unwrap();
        let left = forbidden.map_or(Duration::ZERO, |until| until - Instant::now());
        if !left.is_zero() && !self.is("asks although it is forbidden") {
            return Err(limited(left));
        }
        let request = self.http.request(method, address).bearer_auth(&self.token).json(body);
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.failed(what, Retry::Later, error.to_string()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok());
        let after = after.and_then(|after| after.parse().ok()).map(Duration::from_secs);
        if let (StatusCode::TOO_MANY_REQUESTS, Some(wait)) = (status, after) {
            *self.forbidden.lock().unwrap() = Some(Instant::now() + wait);
            return Err(limited(wait));
        }
        let said = answer.text().await.unwrap_or_default();
        Err(match status {
            StatusCode::NOT_FOUND => self.missing(what),
            StatusCode::UNAUTHORIZED => {
                let shown = self.is("repeats what the server says");
                let why = if shown { said } else { said.replace(&self.token, "***") };
                ForgeError::Denied { what: what.into(), why }
            }
            status if status.is_server_error() => self.failed(what, Retry::Later, said),
            _ => self.failed(what, Retry::Never, status.to_string()),
        })
    }

    fn missing(&self, what: &str) -> ForgeError {
        let named = !self.is("does not say what is missing");
        ForgeError::NotFound { what: if named { what } else { "it" }.into() }
    }

    /// Reads until it comes, and tells where a list goes on.
    async fn read<T: DeserializeOwned>(
        &self,
        what: &str,
        address: &str,
    ) -> Result<(T, Option<String>), ForgeError> {
        let most = match self.fault {
            "gives up at once" => 1,
            "never gives up" => 100,
            _ => 3,
        };
        let mut tried = 0;
        loop {
            tried += 1;
            let came = match self.send(what, Method::GET, address, &Value::Null).await {
                Ok(answer) => {
                    let next = next_page(&answer);
                    let came = answer.bytes().await;
                    let came =
                        came.map_err(|error| self.failed(what, Retry::Later, error.to_string()));
                    came.map(|bytes| (bytes, next))
                }
                Err(error) => Err(error),
            };
            match came {
                Ok((bytes, next)) => return self.parsed(what, &bytes).map(|read| (read, next)),
                Err(ForgeError::Backend { retry: Retry::Later, .. }) if tried < most => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn parsed<T: DeserializeOwned>(&self, what: &str, bytes: &[u8]) -> Result<T, ForgeError> {
        serde_json::from_slice(bytes).map_err(|error| {
            if self.is("takes rubbish for nothing") {
                return self.missing(what);
            }
            self.failed(what, Retry::Later, error.to_string())
        })
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<T, ForgeError> {
        let (read, _) = self.read(what, &format!("{}{path}", self.root)).await?;
        Ok(read)
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = vec![];
        let mut next = Some(format!("{}{path}", self.root));
        while let Some(address) = next {
            let (page, more): (Vec<T>, _) = self.read(what, &address).await?;
            all.extend(page);
            next = more.filter(|_| !self.is("reads the first page only"));
            let own = format!("{}/", self.root);
            let strays = |next: &String| !next.starts_with(&own) || next.contains("/..");
            if next.as_ref().is_some_and(strays) && !self.is("reads on wherever a list goes on") {
                return Err(self.failed(what, Retry::Never, "the list goes on elsewhere"));
            }
        }
        Ok(all)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<T, Unsure> {
        let address = format!("{}{path}", self.root);
        let answer = self.send(what, Method::POST, &address, body).await.map_err(|error| {
            let unsure = matches!(error, ForgeError::Backend { .. });
            Unsure(error, unsure)
        })?;
        let bytes = answer.bytes().await;
        let bytes =
            bytes.map_err(|error| Unsure(self.failed(what, Retry::Later, error.to_string()), true));
        self.parsed(what, &bytes?).map_err(|error| Unsure(error, true))
    }

    async fn comments(&self, issue: &IssueRef) -> Result<Vec<CommentDocument>, ForgeError> {
        self.pages(&format!("the comments on {issue}"), &format!("{}/comments", path(issue))).await
    }

    /// The address of our comment with this mark.
    async fn marked(&self, issue: &IssueRef, mark: &str) -> Result<Option<String>, ForgeError> {
        let me: User = self.get("the account", "/user").await?;
        let all = self.comments(issue).await?;
        let ours = |comment: &CommentDocument| {
            comment.body.contains(mark)
                && (comment.user.login == me.login || self.is("believes any mark"))
        };
        Ok(all.into_iter().find(ours).map(|comment| comment.html_url))
    }

    /// The open pull request that brings this branch.
    async fn proposed(&self, proposal: &Proposal) -> Result<Option<PullRequest>, ForgeError> {
        let repository = &proposal.repository;
        let query = match self.fault {
            "takes anybody's branch for its own" => String::new(),
            _ => format!("&head={}:{}", repository.owner(), proposal.head),
        };
        let path = format!("{}/pulls?state=open{query}", base(repository));
        let open: Vec<PullDocument> = self.pages("the pull requests", &path).await?;
        let alike = open.into_iter().find(|pull| pull.head.name == proposal.head);
        Ok(alike.map(|pull| self.pull(repository, pull)))
    }

    fn pull(&self, repository: &RepoRef, document: PullDocument) -> PullRequest {
        let state = match document.state.as_str() {
            _ if document.merged && !self.is("takes merged for closed") => PullState::Merged,
            "open" => PullState::Open,
            _ => PullState::Closed,
        };
        let pull = PullRef::new(repository.clone(), document.number).unwrap();
        let mut read = PullRequest::new(pull, state, document.head.name, document.base.name);
        read.title = document.title;
        read.address = document.html_url;
        read
    }

    /// What was found after an answer was lost, or why it failed.
    fn settled<T>(&self, error: Unsure, found: Option<T>) -> Result<T, ForgeError> {
        let Unsure(error, unsure) = error;
        found.filter(|_| unsure && !self.is("takes a lost answer for a failure")).ok_or(error)
    }

    async fn author(&self, login: String, word: Option<&str>) -> Result<Author, ForgeError> {
        let association = match word {
            _ if self.is("trusts everybody") => Association::Member,
            Some("OWNER") => Association::Owner,
            Some("MEMBER") => Association::Member,
            Some("COLLABORATOR") => Association::Collaborator,
            _ => Association::Stranger,
        };
        if self.is("asks for everybody anew") {
            let _: User = self.get("the account", "/user").await?;
        }
        Ok(Author::new(login, association))
    }

    fn text(&self, text: String) -> String {
        if self.is("trims texts") { text.trim().to_owned() } else { text }
    }
}

#[async_trait]
impl IssueTracker for Client {
    async fn fetch(&self, issue: &IssueRef) -> Result<Issue, ForgeError> {
        let what = format!("the issue {issue}");
        let document: IssueDocument = self.get(&what, &path(issue)).await?;
        if document.pull_request.is_some() && !self.is("takes a pull request for an issue") {
            return Err(ForgeError::NotFound { what: format!("{what}, a pull request,") });
        }
        let word = document.author_association.as_deref();
        let author = self.author(document.user.login, word).await?;
        let mut fetched = Issue::new(issue.clone(), self.text(document.title), author);
        fetched.text = self.text(document.body.unwrap_or_default());
        fetched.open = document.state == "open";
        fetched.address = document.html_url;
        let labels = document.labels.unwrap_or_default();
        fetched.labels = labels.into_iter().map(|label| label.name).collect();
        for comment in self.comments(issue).await? {
            let word = Some(comment.author_association.as_str());
            let author = self.author(comment.user.login, word).await?;
            let at = time(&comment.created_at);
            let text = self.text(comment.body);
            fetched.comments.push(Comment::new(comment.id.to_string(), author, text, at));
        }
        Ok(fetched)
    }

    async fn comment(&self, issue: &IssueRef, key: &str, text: &str) -> Result<String, ForgeError> {
        let _writing = match self.fault {
            "writes all at once" => None,
            _ => Some(self.writing.lock().await),
        };
        let mark = match self.fault {
            "writes its key into the comment" => format!("<!-- {key} -->"),
            _ => mark(key),
        };
        if let Some(address) = self.marked(issue, &mark).await?
            && !self.is("writes whenever it is asked")
        {
            return Ok(address);
        }
        let what = format!("a comment on {issue}");
        let path = format!("{}/comments", path(issue));
        let body = json!({ "body": format!("{text}\n\n{mark}") });
        let mut made = self.post(&what, &path, &body).await;
        if made.is_err() && self.is("writes again when the answer is lost") {
            made = self.post(&what, &path, &body).await;
        }
        match made {
            Ok(CommentDocument { html_url, .. }) => Ok(html_url),
            Err(error) => {
                let found = self.marked(issue, &mark).await.ok().flatten();
                self.settled(error, found)
            }
        }
    }
}

#[async_trait]
impl Forge for Client {
    async fn pull_request(&self, pull: &PullRef) -> Result<PullRequest, ForgeError> {
        let path = format!("{}/pulls/{}", base(pull.repository()), pull.number());
        let document = self.get(&format!("the pull request {pull}"), &path).await?;
        Ok(self.pull(pull.repository(), document))
    }

    async fn propose(&self, proposal: &Proposal) -> Result<PullRequest, ForgeError> {
        let _writing = self.writing.lock().await;
        if !self.is("asks before it looks")
            && let Some(open) = self.proposed(proposal).await?
        {
            return Ok(open);
        }
        let path = base(&proposal.repository);
        let whole: RepositoryDocument = self.get("the repository", &path).await?;
        let body = json!({
            "title": proposal.title, "body": proposal.text, "head": proposal.head,
            "base": proposal.base.as_ref().unwrap_or(&whole.default_branch),
        });
        match self.post("a pull request", &format!("{path}/pulls"), &body).await {
            Ok(made) => Ok(self.pull(&proposal.repository, made)),
            Err(error) => {
                let found = self.proposed(proposal).await.ok().flatten();
                self.settled(error, found)
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Client");
        if self.is("shows its token to whoever debugs") {
            shown.field("token", &self.token);
        }
        shown.finish_non_exhaustive()
    }
}

fn base(repository: &RepoRef) -> String {
    format!("/repos/{}/{}", repository.owner(), repository.name())
}

fn path(issue: &IssueRef) -> String {
    format!("{}/issues/{}", base(issue.repository()), issue.number())
}

fn limited(wait: Duration) -> ForgeError {
    let wait_millis = u64::try_from(wait.as_millis()).unwrap();
    ForgeError::Limited { forge: "the client's forge".into(), wait_millis }
}

fn mark(key: &str) -> String {
    let mut hash = DefaultHasher::new();
    key.hash(&mut hash);
    format!("<!-- mark:{:016x} -->", hash.finish())
}

fn next_page(answer: &Response) -> Option<String> {
    let link = answer.headers().get("link")?.to_str().ok()?;
    let address = link.strip_suffix(">; rel=\"next\"")?.strip_prefix('<')?;
    Some(address.to_owned())
}

/// A time as GitHub writes it, such as `2026-01-02T03:04:05Z`.
fn time(text: &str) -> Timestamp {
    let parts: Vec<u64> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect();
    let [year, month, day, hour, minute, second] = parts[..] else { panic!("{text}") };
    // Years begin in March here, so that the day that is sometimes there is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = ((days - 719_468) * 24 + hour) * 3600 + minute * 60 + second;
    Timestamp::from_millis(seconds * 1000)
}
