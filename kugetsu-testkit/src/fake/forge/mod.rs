//! Forges on loopback: each of the three APIs with answers of the shapes that the real ones give.

mod answer;
mod gitlab;
mod hub;
mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kugetsu_core::{Association, PullState};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Which API a [`FakeForge`] speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForgeApi {
    /// GitHub's, below `/api/v3`.
    GitHub,
    /// Gitea's and Forgejo's, below `/api/v1`.
    Gitea,
    /// GitLab's, below `/api/v4`.
    GitLab,
}

impl ForgeApi {
    /// Where the API is on its server.
    pub fn root(self) -> &'static str {
        match self {
            Self::GitHub => "/api/v3",
            Self::Gitea => "/api/v1",
            Self::GitLab => "/api/v4",
        }
    }
}

/// A forge on loopback, also below the path `/git` as behind a proxy.
///
/// It has one repository, `acme/widgets`, whose default branch is `main`. Only who shows its token is
/// let in. It is gone with the value.
pub struct FakeForge {
    url: String,
    stage: Arc<Stage>,
    _serving: AbortOnDropHandle<()>,
}

/// What a forge does to the next request instead of answering it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForgeFault {
    /// It does what was asked, and its answer is lost.
    LoseAnswer,
    /// It does what was asked, and its answer ends after so many bytes.
    Cut(usize),
    /// It does what was asked, and never answers.
    Silence,
    /// It does nothing and answers so, with these headers and this body.
    Answer(u16, Vec<(String, String)>, String),
}

impl ForgeFault {
    /// It says that there are too many requests, and how many seconds to wait.
    pub fn limit(seconds: u32) -> Self {
        let headers = vec![("retry-after".to_owned(), seconds.to_string())];
        Self::Answer(429, headers, r#"{"message":"Too Many Requests"}"#.to_owned())
    }

    /// It answers with this status.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), r#"{"message":"something is wrong"}"#.to_owned())
    }

    /// It sends whoever asks somewhere else.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Answer(302, vec![("location".to_owned(), to.into())], String::new())
    }
}

/// A request that has come.
///
/// Made by [`FakeForge`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForgeRequest {
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// Whether it showed the right token, or `None` if it showed none.
    pub token: Option<bool>,
}

struct Stage {
    api: ForgeApi,
    url: String,
    token: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    page: usize,
    issues: BTreeMap<u64, IssueRow>,
    pulls: BTreeMap<u64, PullRow>,
    people: BTreeMap<String, Association>,
    faults: VecDeque<(bool, ForgeFault)>,
    requests: Vec<ForgeRequest>,
}

struct IssueRow {
    title: String,
    text: String,
    by: String,
    open: bool,
    labels: Vec<String>,
    comments: Vec<CommentRow>,
}

#[derive(Clone)]
struct CommentRow {
    id: u64,
    by: String,
    text: String,
    /// Whether the forge itself wrote it, as GitLab does.
    system: bool,
}

struct PullRow {
    title: String,
    text: String,
    head: String,
    base: String,
    state: PullState,
    /// Whether its branch is that of somebody else's copy.
    fork: bool,
}

impl FakeForge {
    /// The account to which the token belongs.
    pub const ACCOUNT: &str = "kugetsu-bot";

    /// Serves the API on a free port.
    pub async fn start(api: ForgeApi, token: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        let empty = Mutex::new(State { page: 30, ..State::default() });
        let stage = Arc::new(Stage { api, url: url.clone(), token: token.into(), state: empty });
        let serving = tokio::spawn(serve::serve(listener, Arc::clone(&stage)));
        Ok(Self { url, stage, _serving: AbortOnDropHandle::new(serving) })
    }

    /// The server's address: `http://localhost:` and its port.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server as references name it.
    pub fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Which API it speaks.
    pub fn api(&self) -> ForgeApi {
        self.stage.api
    }

    /// Somebody opens the issue of this number.
    pub fn open_issue(&self, number: u64, by: &str, title: &str, text: &str) {
        let (title, text, by) = (title.to_owned(), text.to_owned(), by.to_owned());
        let row =
            IssueRow { title, text, by, open: true, labels: Vec::new(), comments: Vec::new() };
        self.stage.state().issues.insert(number, row);
    }

    /// The issue is given a label.
    pub fn label(&self, number: u64, label: &str) {
        if let Some(issue) = self.stage.state().issues.get_mut(&number) {
            issue.labels.push(label.to_owned());
        }
    }

    /// The issue is closed.
    pub fn close_issue(&self, number: u64) {
        if let Some(issue) = self.stage.state().issues.get_mut(&number) {
            issue.open = false;
        }
    }

    /// Somebody comments on the issue.
    pub fn say(&self, number: u64, by: &str, text: &str) {
        self.stage.state().say(number, by, text, false);
    }

    /// The forge itself notes something on the issue, as GitLab does.
    pub fn note(&self, number: u64, text: &str) {
        self.stage.state().say(number, "ghost", text, true);
    }

    /// What was said about the issue, in order.
    pub fn said(&self, number: u64) -> Vec<(String, String)> {
        let state = self.stage.state();
        let issue = state.issues.get(&number);
        let said = |comment: &CommentRow| (comment.by.clone(), comment.text.clone());
        issue.map(|issue| issue.comments.iter().map(said).collect()).unwrap_or_default()
    }

    /// There is a pull request of this number, from the branch `head` into `main`.
    pub fn open_pull(&self, number: u64, head: &str, fork: bool) {
        let row = PullRow {
            title: format!("Pull {number}"),
            text: String::new(),
            head: head.to_owned(),
            base: "main".to_owned(),
            state: PullState::Open,
            fork,
        };
        self.stage.state().pulls.insert(number, row);
    }

    /// What has become of the pull request.
    pub fn set_pull(&self, number: u64, state: PullState) {
        if let Some(pull) = self.stage.state().pulls.get_mut(&number) {
            pull.state = state;
        }
    }

    /// How many pull requests there are, and the title, text and branches of the last.
    pub fn pulls(&self) -> (usize, Option<[String; 4]>) {
        let state = self.stage.state();
        let last = state.pulls.values().next_back().map(|pull| {
            [pull.title.clone(), pull.text.clone(), pull.head.clone(), pull.base.clone()]
        });
        (state.pulls.len(), last)
    }

    /// The address of the pull request, for people.
    pub fn pull_address(&self, number: u64) -> String {
        self.stage.pull_address(number)
    }

    /// What somebody is to the repository; strangers unless it is said.
    pub fn associate(&self, name: &str, association: Association) {
        self.stage.state().people.insert(name.to_owned(), association);
    }

    /// How many entries a page of a list has at the most.
    pub fn set_page(&self, entries: usize) {
        self.stage.state().page = entries;
    }

    /// Does this to the next request.
    pub fn fail_next(&self, fault: ForgeFault) {
        self.stage.state().faults.push_back((false, fault));
    }

    /// Does this to the next request that writes.
    pub fn fail_next_write(&self, fault: ForgeFault) {
        self.stage.state().faults.push_back((true, fault));
    }

    /// The requests so far, in order.
    pub fn requests(&self) -> Vec<ForgeRequest> {
        self.stage.state().requests.clone()
    }
}

impl fmt::Debug for FakeForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api = self.stage.api;
        f.debug_struct("FakeForge")
            .field("api", &api)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl State {
    fn say(&mut self, number: u64, by: &str, text: &str, system: bool) -> Option<u64> {
        self.last += 1;
        let id = self.last;
        let (by, text) = (by.to_owned(), text.to_owned());
        self.issues.get_mut(&number)?.comments.push(CommentRow { id, by, text, system });
        Some(id)
    }

    fn association(&self, name: &str) -> Association {
        self.people.get(name).copied().unwrap_or(Association::Stranger)
    }

    /// Opens a pull request; `None` if there is one from this branch.
    fn propose(&mut self, row: PullRow) -> Option<u64> {
        let same =
            |pull: &&PullRow| pull.head == row.head && pull.state == PullState::Open && !pull.fork;
        if self.pulls.values().any(|pull| same(&pull)) {
            return None;
        }
        let number = self.pulls.keys().next_back().copied().unwrap_or(100) + 1;
        self.pulls.insert(number, row);
        Some(number)
    }
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pull_address(&self, number: u64) -> String {
        let kind = match self.api {
            ForgeApi::GitHub => "pull",
            ForgeApi::Gitea => "pulls",
            ForgeApi::GitLab => "-/merge_requests",
        };
        format!("{}/acme/widgets/{kind}/{number}", self.url)
    }
}
