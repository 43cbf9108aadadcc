//! What an answer means.

use std::fmt;
use std::time::Duration;

use hyper::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{StatusCode, Uri};
use jiff::Timestamp;
use kugetsu_core::Retry;
use kugetsu_core::forge::ForgeError;
use serde::Deserialize;

use crate::http::{Answer, HttpError};
use crate::token::Token;

/// The longest that a server's wish to wait is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How long to wait where a server says that there is a limit, and not until when.
const USUAL_WAIT: Duration = Duration::from_mins(1);
/// How much of what a server says is told, in characters.
const WORDS: usize = 200;

/// Words as an error.
#[derive(Debug)]
pub(crate) struct Plain(pub(crate) String);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Plain {}

/// Of whom and of what an answer is told.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    /// Which server.
    pub(crate) who: &'a str,
    /// What was asked for, such as `the issue github.com/acme/widgets#7`.
    pub(crate) what: &'a str,
    pub(crate) token: Option<&'a Token>,
}

impl About<'_> {
    pub(crate) fn failed(self, verb: &str, retry: Retry, why: impl Into<String>) -> ForgeError {
        let why = why.into();
        ForgeError::Backend {
            who: self.who.to_owned(),
            operation: format!("{verb} {}", self.what),
            retry,
            source: Box::new(Plain(self.masked(&why))),
        }
    }

    pub(crate) fn unanswered(self, verb: &str, error: &HttpError) -> ForgeError {
        let retry = match error {
            HttpError::Late(_) | HttpError::Unanswered(_) => Retry::Later,
            HttpError::TooLong | HttpError::Untrusted(_) => Retry::Never,
        };
        self.failed(verb, retry, error.to_string())
    }

    /// Why the answer is none that helps; `None` if it is a success.
    pub(crate) fn refusal(self, verb: &str, answer: &Answer) -> Option<ForgeError> {
        let status = answer.status;
        if status.is_success() {
            return None;
        }
        if let Some(wait) = wait(answer) {
            let wait_millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            return Some(ForgeError::Limited { forge: self.who.to_owned(), wait_millis });
        }
        let said = self.masked(&words(answer));
        Some(match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                ForgeError::NotFound { what: self.what.to_owned() }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let mend = if self.token.is_some() {
                    "look whether the token is valid and may do this"
                } else {
                    "there is no token for this server"
                };
                let why = format!("{} {said}; {mend}", status.as_u16());
                ForgeError::Denied { what: format!("{verb} {}", self.what), why }
            }
            _ if status.is_redirection() => self.failed(
                verb,
                Retry::Never,
                format!(
                    "it points to {}, which is not followed; name the repository and the server \
                     as they are called now",
                    place(answer)
                ),
            ),
            _ => {
                let retry = if status.is_server_error() { Retry::Later } else { Retry::Never };
                self.failed(verb, retry, format!("it said {} {said}", status.as_u16()))
            }
        })
    }

    fn masked(self, text: &str) -> String {
        self.token.map_or_else(|| text.to_owned(), |token| token.mask(text))
    }
}

/// How long the server wants to be left alone, if that is what its answer says: GitHub says 429, or
/// 403 with a rate limit that is used up, with a `Retry-After`, or with no more than words about it
/// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>); Gitea and
/// GitLab say 429.
fn wait(answer: &Answer) -> Option<Duration> {
    let (status, headers) = (answer.status, &answer.headers);
    let after = number(headers, RETRY_AFTER.as_str())
        .or_else(|| Some(date(headers, RETRY_AFTER.as_str())?.saturating_sub(now(headers))))
        .map(Duration::from_secs);
    let used_up = number(headers, "x-ratelimit-remaining") == Some(0);
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN
            && (after.is_some() || used_up || speaks_of_limit(answer)))
        || (status == StatusCode::SERVICE_UNAVAILABLE && after.is_some());
    if !is_limit {
        return None;
    }
    let reset = ["x-ratelimit-reset", "ratelimit-reset"]
        .iter()
        .find_map(|name| number(headers, name))
        .map(|at| Duration::from_secs(at.saturating_sub(now(headers))));
    Some(after.or(reset).unwrap_or(USUAL_WAIT).min(LONGEST_WAIT))
}

/// The server's own time, in seconds since 1970, so that a wrong clock here does not matter.
fn now(headers: &HeaderMap) -> u64 {
    let here = || u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    date(headers, DATE.as_str()).unwrap_or_else(here)
}

/// A header's date, in seconds since 1970.
fn date(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    u64::try_from(date.as_second()).ok()
}

/// Whether GitHub says in words alone that it was asked too much.
fn speaks_of_limit(answer: &Answer) -> bool {
    let words = words(answer).to_ascii_lowercase();
    words.contains("secondary rate limit") || words.contains("api rate limit exceeded")
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// What the server says about it, in its own words.
fn words(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Said {
        message: Option<serde_json::Value>,
        error: Option<serde_json::Value>,
    }
    let said: Option<Said> = serde_json::from_slice(&answer.body).ok();
    let said = said.and_then(|said| said.message.or(said.error));
    let text = match said {
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => answer.status.canonical_reason().unwrap_or_default().to_owned(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

fn place(answer: &Answer) -> String {
    let origin = location(answer).and_then(|uri| origin(&uri));
    origin.unwrap_or_else(|| "somewhere else".to_owned())
}

/// Where a redirection points.
pub(crate) fn location(answer: &Answer) -> Option<Uri> {
    answer.headers.get(LOCATION)?.to_str().ok()?.parse().ok()
}

/// Scheme, host and port.
pub(crate) fn origin(uri: &Uri) -> Option<String> {
    let authority = uri.authority()?;
    Some(format!("{}://{}", uri.scheme_str()?, authority.as_str().rsplit('@').next()?))
}

/// The number of the next page, which GitLab tells also where a proxy has taken `Link` away.
pub(crate) fn next_number(headers: &HeaderMap) -> Option<u64> {
    number(headers, "x-next-page")
}

/// The address of the next page, as a `Link` header of the usual form says (RFC 8288).
pub(crate) fn next_page(headers: &HeaderMap) -> Option<String> {
    headers.get_all("link").iter().filter_map(|value| value.to_str().ok()).find_map(|links| {
        links.split(',').find_map(|link| {
            let (address, about) = link.split_once(';')?;
            let is_next = about.split(';').any(|part| {
                part.trim().strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"') == "next")
            });
            let address = address.trim().strip_prefix('<')?.strip_suffix('>')?;
            is_next.then(|| address.to_owned())
        })
    })
}
