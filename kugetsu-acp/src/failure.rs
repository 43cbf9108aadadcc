//! What an agent's errors mean for trying again.
//!
//! The protocol says little about why a turn failed: a code, most often that of an internal error,
//! words, and data of the agent's own. The rest is read from the words.

use std::time::Duration;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::{Failure, Retry};
use serde_json::Value;

use crate::fault::Who;
use crate::talk::End;
use crate::text::first_line;

/// An error that an agent answered with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Complaint {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Value,
}

/// Codes of the protocol.
const AUTH_REQUIRED: i32 = -32000;
const NOT_FOUND: i32 = -32002;
const INVALID_REQUEST: i32 = -32600;
const NO_METHOD: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// How long to wait for a provider that does not say how long.
const BREATHER: Duration = Duration::from_mins(1);

/// The same where it is somebody's money that is used up.
const UNPAID: Duration = Duration::from_mins(10);

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(24);

const LIMITED: [&str; 8] = [
    "rate limit",
    "rate-limit",
    "rate_limit",
    "ratelimit",
    "too many requests",
    "too_many_requests",
    "resource exhausted",
    "resource_exhausted",
];

const USED_UP: [&str; 7] = [
    "quota",
    "usage limit",
    "usage_limit",
    "credit balance",
    "insufficient credit",
    "insufficient balance",
    "billing",
];

/// What a refused key, and a model that is not there, are called.
const FOR_GOOD: [&str; 10] = [
    "unauthorized",
    "unauthenticated",
    "authentication",
    "invalid api key",
    "incorrect api key",
    "invalid_api_key",
    "permission denied",
    "model not found",
    "model_not_found",
    "not logged in",
];

impl Complaint {
    /// Whether it says that a session is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code == NOT_FOUND
    }

    /// The failure of a turn that ended with it.
    pub(crate) fn failure(&self) -> Failure {
        if self.code == AUTH_REQUIRED {
            return Failure::fatal(format!(
                "the agent is not logged in; log in with its own program: {}",
                self.words()
            ));
        }
        let lower = self.all_words();
        let status = self.status();
        let is_used_up = says(&lower, &USED_UP);
        let is_limit = match status {
            Some(429) => true,
            Some(400 | 402 | 403) | None => is_used_up || says(&lower, &LIMITED),
            Some(_) => false,
        };
        let reason = format!("the agent failed: {}", self.words());
        if is_limit {
            let wait = self.wait().unwrap_or(if is_used_up { UNPAID } else { BREATHER });
            let wait = wait.clamp(Duration::from_secs(1), LONGEST);
            return Failure::limit("of the agent", reason, wait);
        }
        Failure::new(reason, self.retry(status, &lower))
    }

    /// The same as an error of an operation that is no turn.
    pub(crate) fn error(&self, who: &Who, operation: &str) -> AgentError {
        let failure = self.failure();
        who.backend(operation, failure.retry, failure.reason)
    }

    fn retry(&self, status: Option<u64>, lower: &str) -> Retry {
        match (self.code, status) {
            (INVALID_REQUEST | NO_METHOD | INVALID_PARAMS, _) => Retry::Never,
            (_, Some(408 | 409 | 425 | 500..)) => self.wait().map_or(Retry::Later, Retry::after),
            (_, Some(400..)) => Retry::Never,
            _ if says(lower, &FOR_GOOD) => Retry::Never,
            _ => Retry::Later,
        }
    }

    /// What went wrong, in a line.
    pub(crate) fn words(&self) -> String {
        let words = first_line(&self.message, 300);
        let more = match &self.data {
            Value::String(text) => first_line(text, 200),
            data => ["details", "message", "error"]
                .iter()
                .find_map(|name| data.get(*name)?.as_str())
                .map(|text| first_line(text, 200))
                .unwrap_or_default(),
        };
        match (words.as_str(), more.as_str()) {
            ("", "") => format!("error {}", self.code),
            (_, "") => words,
            ("", _) => more,
            _ if words.contains(&more) => words,
            _ => format!("{words}: {more}"),
        }
    }

    fn all_words(&self) -> String {
        let data = if self.data.is_null() { String::new() } else { self.data.to_string() };
        let data: String = data.chars().take(4000).collect();
        format!("{} {data}", self.message).to_lowercase()
    }

    /// The HTTP status of the model's provider: told as such, or as a number among the words.
    fn status(&self) -> Option<u64> {
        let is_status = |number: &u64| (400..600).contains(number);
        let told = ["status", "statusCode", "status_code", "httpStatus", "code"]
            .iter()
            .find_map(|name| self.data.get(*name)?.as_u64())
            .filter(is_status);
        told.or_else(|| {
            self.message
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| word.len() == 3)
                .find_map(|word| word.parse().ok().filter(is_status))
        })
    }

    /// How long the provider asks to wait, as far as the agent tells.
    fn wait(&self) -> Option<Duration> {
        let seconds = ["retryAfter", "retry_after", "retryAfterSeconds", "retry-after"]
            .iter()
            .find_map(|name| number(self.data.get(*name)?));
        let millis = ["retryAfterMs", "retry_after_ms", "retryDelayMs"]
            .iter()
            .find_map(|name| number(self.data.get(*name)?));
        let seconds = seconds.or(millis.map(|millis| millis / 1000.0))?;
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST))
    }
}

/// How a turn ended by the agent's own account; `None` is a good end.
pub(crate) fn of_end(end: End, said_anything: bool, refused: Option<&str>) -> Option<Failure> {
    Some(match end {
        End::Turn => match refused {
            Some(what) => Failure::fatal(format!(
                "the agent asked for what nobody may answer, and was refused: {what}"
            )),
            None if said_anything => return None,
            None => Failure::passing("the turn was empty: the agent said and did nothing"),
        },
        End::TooLong => Failure::passing("the answer was cut off at its greatest length"),
        End::TooManyRequests => {
            Failure::passing("the turn was cut off: it asked the model too often")
        }
        End::Refusal => Failure::fatal("the model refused to go on"),
        End::Cancelled => Failure::passing("the turn was cancelled by somebody else"),
        End::Unknown => Failure::passing("the turn ended for a reason that is not known"),
    })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().trim_end_matches('s').parse().ok())
}

fn says(words: &str, list: &[&str]) -> bool {
    list.iter().any(|word| words.contains(word))
}

#[cfg(test)]
mod tests {
    use kugetsu_core::error::Cause;
    use serde_json::json;

    use super::*;

    fn failure(code: i32, message: &str, data: Value) -> Failure {
        Complaint { code, message: message.into(), data }.failure()
    }

    #[test]
    fn advice_is_read_from_codes_statuses_and_words() {
        let none = || Value::Null;
        let cases = [
            (failure(-32000, "Authentication required", none()), Retry::Never),
            (failure(-32601, "no", none()), Retry::Never),
            (failure(-32603, "Internal error: scripted error 401", none()), Retry::Never),
            (
                failure(-32603, "Internal error", json!({"details": "Invalid API key"})),
                Retry::Never,
            ),
            (failure(-32603, "Internal error: error 503", none()), Retry::Later),
            (failure(-32603, "oops 1401 x", none()), Retry::Later),
            (failure(-32603, "Internal error", json!({"statusCode": 400})), Retry::Never),
            (
                failure(-32603, "x", json!({"status": 503, "retryAfter": 3})),
                Retry::after(Duration::from_secs(3)),
            ),
        ];
        for (failure, advice) in cases {
            assert_eq!(failure.retry, advice, "{failure:?}");
            assert_eq!(failure.cause, Cause::Attempt, "{failure:?}");
        }
    }

    #[test]
    fn a_limit_is_known_by_its_status_or_its_words() {
        let cases = [
            (failure(-32603, "Internal error: scripted error 429", Value::Null), 60),
            (failure(-32603, "Rate limit exceeded", Value::Null), 60),
            (failure(-32603, "x", json!({"status": 429, "retryAfter": "7"})), 7),
            (failure(-32603, "x", json!({"status": 429, "retryAfterMs": 90_500})), 90),
            (failure(-32603, "You exceeded your current quota", Value::Null), 600),
            (failure(-32603, "x", json!({"code": 402, "message": "billing"})), 600),
            (failure(-32603, "429", json!({"retryAfter": 1e12})), 86400),
        ];
        for (failure, wait) in cases {
            assert!(matches!(failure.cause, Cause::Limit { .. }), "{failure:?}");
            assert_eq!(failure.retry.wait().as_secs(), wait, "{failure:?}");
        }
        assert_eq!(failure(-32603, "error 503: rate limit", Value::Null).cause, Cause::Attempt);
    }

    #[test]
    fn words_are_one_line_and_never_nothing() {
        let reason = |message: &str, data| failure(-32603, message, data).reason;
        assert_eq!(reason("", Value::Null), "the agent failed: error -32603");
        assert_eq!(reason("a\nb", json!({"details": "\u{1b}[2Jc"})), "the agent failed: a:  [2Jc");
        assert_eq!(reason("a b", json!("b")), "the agent failed: a b");
    }
}
