//! Asking a server: with patience for what passes, and none for what it forbids.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use kugetsu_core::Retry;
use kugetsu_core::forge::ForgeError;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::answer::{self, About};
use crate::http::{Answer, Http};
use crate::kind::ForgeKind;
use crate::token::Token;

/// How often something is read at most, if it does not come at once.
const TRIES: u32 = 3;
/// The most pages of one list: at a hundred entries each, more than people write about one issue.
const PAGES: usize = 100;
/// The most that is read of one list, in bytes.
const LONGEST_LIST: usize = 64 << 20;

/// What one server is asked.
pub(crate) struct Asker {
    pub(crate) kind: ForgeKind,
    pub(crate) who: String,
    pub(crate) root: String,
    /// The path below which the server is, without slashes around it; mostly empty.
    pub(crate) below: String,
    pub(crate) token: Option<Token>,
    pub(crate) http: Http,
    /// How long to wait before something is read again; twice as long each time.
    pub(crate) pause: Duration,
    /// The longest wait that the server may ask for and that is waited for here.
    pub(crate) patience: Duration,
    /// Until when the server takes no requests.
    pub(crate) forbidden: Mutex<Option<Instant>>,
}

/// What was written has perhaps arrived, perhaps not.
pub(crate) struct Unsure {
    pub(crate) error: ForgeError,
    pub(crate) may_be_done: bool,
}

impl Asker {
    pub(crate) fn about<'a>(&'a self, what: &'a str) -> About<'a> {
        About { who: &self.who, what, token: self.token.as_ref() }
    }

    /// Reads one document.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, ForgeError> {
        let answer = self.read(what, &format!("{}{path}", self.root)).await?;
        self.parsed(what, "read", &answer)
    }

    /// Whether there is something at this path. What may not be seen is not there, nor is what is
    /// said to be elsewhere.
    pub(crate) async fn is_there(&self, what: &str, path: &str) -> Result<bool, ForgeError> {
        let address = format!("{}{path}", self.root);
        match self.answered(what, &address).await {
            Ok(answer) if answer.status.is_redirection() => Ok(false),
            Ok(answer) => self.refused(self.about(what), "read", &answer).map_or(Ok(true), Err),
            Err(other) => Err(other),
        }
        .or_else(|error| match error {
            ForgeError::NotFound { .. } | ForgeError::Denied { .. } => Ok(false),
            other => Err(other),
        })
    }

    /// Reads a list to its end, page by page.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<Vec<T>, ForgeError> {
        let (mut all, mut read) = (Vec::new(), 0);
        let mut next = Some(format!("{}{path}", self.root));
        for _ in 0..PAGES {
            let Some(address) = next.take() else { return Ok(all) };
            let answer = self.read(what, &address).await?;
            read += answer.body.len();
            if read > LONGEST_LIST {
                let why = format!("its list is longer than {LONGEST_LIST} bytes");
                return Err(self.about(what).failed("read", Retry::Never, why));
            }
            let page: Vec<T> = self.parsed(what, "read", &answer)?;
            all.extend(page);
            next = answer::next_page(&answer.headers).or_else(|| {
                let number = answer::next_number(&answer.headers)?;
                let mark = if path.contains('?') { '&' } else { '?' };
                Some(format!("{}{path}{mark}page={number}", self.root))
            });
            if let Some(next) = &next
                && !self.is_own(next)
            {
                let why = "its list goes on outside of its API, where nothing is asked";
                return Err(self.about(what).failed("read", Retry::Never, why));
            }
        }
        if next.is_none() {
            return Ok(all);
        }
        let why = format!("its list has more than {PAGES} pages");
        Err(self.about(what).failed("read", Retry::Never, why))
    }

    /// Writes something, once.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<T, Unsure> {
        let about = self.about(what);
        let not_sent = |error| Unsure { error, may_be_done: false };
        self.may_ask().map_err(not_sent)?;
        let address = format!("{}{path}", self.root);
        let request = self.request(what, Method::POST, &address, body).map_err(not_sent)?;
        let answer = self.http.send(request).await.map_err(|error| Unsure {
            error: about.unanswered("write", &error),
            may_be_done: true,
        })?;
        if let Some(error) = self.refused(about, "write", &answer) {
            let conflicts =
                matches!(answer.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY);
            let may_be_done = answer.status.is_server_error() || conflicts;
            return Err(Unsure { error, may_be_done });
        }
        self.parsed(what, "write", &answer).map_err(|error| Unsure { error, may_be_done: true })
    }

    async fn read(&self, what: &str, address: &str) -> Result<Answer, ForgeError> {
        let answer = self.answered(what, address).await?;
        self.refused(self.about(what), "read", &answer).map_or(Ok(answer), Err)
    }

    /// Reads until there is an answer that would be the same another time; it may be a refusal.
    async fn answered(&self, what: &str, address: &str) -> Result<Answer, ForgeError> {
        let (mut tried, mut waited) = (0, false);
        loop {
            self.may_ask()?;
            let request = self.request(what, Method::GET, address, &Value::Null)?;
            let about = self.about(what);
            let error = match self.http.send(request).await {
                Err(error) => about.unanswered("read", &error),
                Ok(answer) => match self.refused(about, "read", &answer) {
                    Some(error) if error.retry().is_possible() => error,
                    _ => return Ok(answer),
                },
            };
            match &error {
                ForgeError::Limited { wait_millis, .. } if !waited => {
                    let wait = Duration::from_millis(*wait_millis);
                    if wait > self.patience {
                        return Err(error);
                    }
                    waited = true;
                    tokio::time::sleep(wait).await;
                }
                ForgeError::Backend { retry: Retry::Later, .. } if tried + 1 < TRIES => {
                    tokio::time::sleep(self.pause * 2_u32.pow(tried)).await;
                    tried += 1;
                }
                _ => return Err(error),
            }
        }
    }

    /// Why the answer is none that helps. A wait that it asks for holds from now on.
    fn refused(&self, about: About<'_>, verb: &str, answer: &Answer) -> Option<ForgeError> {
        let error = about.refusal(verb, answer)?;
        if let ForgeError::Limited { wait_millis, .. } = &error {
            let until = Instant::now() + Duration::from_millis(*wait_millis);
            let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
            *forbidden = (*forbidden).max(Some(until));
        }
        Some(error)
    }

    fn may_ask(&self) -> Result<(), ForgeError> {
        let forbidden = *self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        let left = forbidden.and_then(|until| until.checked_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            None => Ok(()),
            Some(left) => Err(ForgeError::Limited {
                forge: self.who.clone(),
                wait_millis: u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1),
            }),
        }
    }

    /// Whether the address is one of the server's API. Other programs may live beside it.
    fn is_own(&self, address: &str) -> bool {
        let (Ok(root), Ok(uri)) = (self.root.parse::<Uri>(), address.parse::<Uri>()) else {
            return false;
        };
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let below = uri.path().strip_prefix(root.path().trim_end_matches('/'));
        let climbs = |path: &str| path.split('/').any(|part| matches!(part, "." | ".."));
        !has_user
            && answer::origin(&uri).is_some_and(|origin| Some(origin) == answer::origin(&root))
            && below.is_some_and(|path| path.starts_with('/') && !climbs(path))
    }

    fn request(
        &self,
        what: &str,
        method: Method,
        address: &str,
        body: &Value,
    ) -> Result<Request<Full<Bytes>>, ForgeError> {
        let unmade =
            |_| self.about(what).failed("ask for", Retry::Never, "no such request can be made");
        let mut request = Request::builder()
            .method(method)
            .uri(address)
            .header(USER_AGENT, concat!("kugetsu/", env!("CARGO_PKG_VERSION")));
        request = match self.kind {
            ForgeKind::GitHub => request
                .header(ACCEPT, "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            ForgeKind::Gitea | ForgeKind::GitLab => request.header(ACCEPT, "application/json"),
        };
        if let Some(token) = &self.token {
            let (name, value) = match self.kind {
                ForgeKind::GitHub => (AUTHORIZATION.as_str(), format!("Bearer {}", token.reveal())),
                ForgeKind::Gitea => (AUTHORIZATION.as_str(), format!("token {}", token.reveal())),
                ForgeKind::GitLab => ("private-token", token.reveal().to_owned()),
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| ForgeError::Denied {
                what: format!("to ask for {what}"),
                why: "the token has characters in it that no token has".to_owned(),
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::from(body)).map_err(unmade)
    }

    fn parsed<T: DeserializeOwned>(
        &self,
        what: &str,
        verb: &str,
        answer: &Answer,
    ) -> Result<T, ForgeError> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            // The error of serde_json may quote a value of the document.
            let why = format!("its answer is not understood ({:?})", error.classify());
            self.about(what).failed(verb, Retry::Later, why)
        })
    }
}
