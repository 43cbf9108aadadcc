//! When a model's provider takes no more, and for how long: by the status and the headers of its
//! answer, and by its words where opencode tells nothing else. While opencode asks again by itself it
//! tells neither status nor headers, only words and when it will ask. (1.18.33)

use std::time::Duration;

use kugetsu_core::error::Failure;

use crate::wire::{ErrorData, first_line};

/// How long to wait for a provider that does not say how long.
const BREATHER: Duration = Duration::from_mins(1);

/// The same where it is somebody's money that is used up.
const UNPAID: Duration = Duration::from_mins(10);

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(24);

/// What a limit is called, in lower case.
const LIMITED: [&str; 9] = [
    "429",
    "rate limit",
    "rate-limit",
    "rate_limit",
    "rate increased too quickly",
    "too many requests",
    "too_many_requests",
    "resource exhausted",
    "resource_exhausted",
];

/// What it is called when waiting a little is no help.
const USED_UP: [&str; 8] = [
    "quota",
    "usage limit",
    "usage_limit",
    "free limit",
    "credit balance",
    "insufficient credit",
    "insufficient balance",
    "billing",
];

/// What a server's own fault is called.
const FAULTY: [&str; 6] =
    ["overloaded", "unavailable", "server error", "internal", "gateway", "timeout"];

/// The limit that the provider's answer tells of, if it does. `now` is in milliseconds since 1970.
pub(crate) fn of(error: &ErrorData, provider: &str, now: u64) -> Option<Failure> {
    let words = format!("{} {}", error.message, error.response_body).to_lowercase();
    let is_used_up = says(&words, &USED_UP);
    match error.status_code {
        Some(429) => {}
        Some(402) => {
            return Some(limit(provider, &error.message, wait(error, now).or(Some(UNPAID))));
        }
        // Some say so as a refusal.
        Some(400 | 403) if is_used_up => {}
        None if is_used_up || says(&words, &LIMITED) => {}
        _ => return None,
    }
    let wait = wait(error, now).or(is_used_up.then_some(UNPAID));
    Some(limit(provider, &error.message, wait))
}

/// Whether the words tell of a limit.
pub(crate) fn is_told(words: &str) -> bool {
    let lower = words.to_lowercase();
    says(&lower, &USED_UP) || says(&lower, &LIMITED)
}

/// How long to wait for the limit that these words tell of, if others may be waited for so long.
pub(crate) fn short(words: &str, short: Duration) -> Duration {
    if says(&words.to_lowercase(), &USED_UP) { Duration::ZERO } else { short }
}

/// A limit of which nothing is known but these words.
pub(crate) fn in_words(words: &str, provider: &str) -> Failure {
    let is_used_up = says(&words.to_lowercase(), &USED_UP);
    limit(provider, words, is_used_up.then_some(UNPAID))
}

/// What is known of a provider that is asked again and again within one turn.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    waited: Duration,
}

impl Patience {
    /// Whether the turn should end at this limit rather than wait for it: opencode will ask again in
    /// `wait`, for the `attempt`th time. A turn may wait for limits so `often`, and for `short` in
    /// all.
    pub(crate) fn ends(
        &mut self,
        (attempt, wait): (u64, Duration),
        words: &str,
        provider: &str,
        (often, short): (u64, Duration),
    ) -> Option<Failure> {
        let lower = words.to_lowercase();
        let is_used_up = says(&lower, &USED_UP);
        let is_limit = is_used_up
            || says(&lower, &LIMITED)
            || (is_asked_for(attempt, wait) && !is_faulty(&lower));
        if !is_limit {
            return None;
        }
        self.waited += wait;
        if attempt <= often && self.waited <= short && !is_used_up {
            return None;
        }
        let told = is_asked_for(attempt, wait).then_some(wait);
        Some(limit(provider, words, told.or(is_used_up.then_some(UNPAID))))
    }
}

fn limit(provider: &str, words: &str, wait: Option<Duration>) -> Failure {
    let wait = wait.unwrap_or(BREATHER).clamp(Duration::from_secs(1), LONGEST);
    let reason =
        format!("the provider {provider} takes no more for now: {}", first_line(words, 300));
    Failure::limit(provider, reason, wait)
}

/// Whether the provider asked for this wait. opencode's own are 2 s, doubled each time, and up to a
/// quarter longer by chance. (1.18.33)
fn is_asked_for(attempt: u64, wait: Duration) -> bool {
    let doubled = 1 << attempt.clamp(1, 6);
    wait > Duration::from_secs(doubled) * 5 / 4 + Duration::from_secs(1)
}

fn is_faulty(words: &str) -> bool {
    let is_status =
        |word: &str| word.len() == 3 && word.starts_with('5') && word.parse::<u16>().is_ok();
    says(words, &FAULTY) || words.split(|c: char| !c.is_alphanumeric()).any(is_status)
}

fn says(words: &str, list: &[&str]) -> bool {
    list.iter().any(|word| words.contains(word))
}

/// How long the provider asks to wait.
pub(crate) fn wait(error: &ErrorData, now: u64) -> Option<Duration> {
    let header = |name: &str| header(error, name);
    let millis = |text: String| text.trim().parse().ok().map(millis);
    let seconds = |text: String| text.trim().parse().ok().and_then(seconds);
    header("retry-after-ms")
        .and_then(millis)
        .or_else(|| header("retry-after").and_then(seconds))
        .or_else(|| {
            const RESETS: [(&str, &str); 6] = [
                ("x-ratelimit-reset", "x-ratelimit-remaining"),
                ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
                ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
                ("anthropic-ratelimit-unified-reset", "anthropic-ratelimit-unified-remaining"),
                ("ratelimit-reset", "ratelimit-remaining"),
                ("x-rate-limit-reset", "x-rate-limit-remaining"),
            ];
            // Of several limits the one that is used up is meant.
            let is_used_up = |name| header(name).is_none_or(|left| left.trim() == "0");
            let resets = RESETS.iter().filter(|(_, remaining)| is_used_up(remaining));
            resets.filter_map(|(reset, _)| until(&header(reset)?, now)).max()
        })
        .or_else(|| told_in_body(&error.response_body, now))
}

fn header(error: &ErrorData, name: &str) -> Option<String> {
    let (_, value) =
        error.response_headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
}

/// From now until a reset: told as a time since 1970, as seconds from now, or as `1h2m3s`.
fn until(text: &str, now: u64) -> Option<Duration> {
    let text = text.trim();
    let Ok(number) = text.parse::<f64>() else { return spoken(text) };
    match number {
        // A time in milliseconds, or in seconds; nothing waits for thirty years.
        _ if number >= 1e12 => Some(millis(number - as_float(now))),
        _ if number >= 1e9 => Some(millis(number * 1000.0 - as_float(now))),
        _ => seconds(number),
    }
}

/// A time such as `1h2m3.5s` or `120ms`.
fn spoken(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end =
            rest[end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| end + n);
        total += match &rest[end..unit_end] {
            "ms" => seconds(number / 1e3)?,
            "s" => seconds(number)?,
            "m" => seconds(number * 60.0)?,
            "h" => seconds(number * 3600.0)?,
            "d" => seconds(number * 86400.0)?,
            _ => return None,
        };
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

/// What some tell in the body of their answer instead.
fn told_in_body(body: &str, now: u64) -> Option<Duration> {
    let after = |name: &str| {
        let (_, rest) = body.split_once(&format!("\"{name}\""))?;
        let value = rest.trim_start().strip_prefix(':')?.trim_start();
        let value = value.trim_start_matches('"');
        Some(value.split(['"', ',', '}', '\n']).next()?.trim().to_owned())
    };
    ["resets_in_seconds", "retryDelay", "resets_at", "retry_after"]
        .iter()
        .find_map(|name| until(&after(name)?, now))
}

fn millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis.max(0.0) / 1e3).unwrap_or(LONGEST)
}

fn seconds(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST))
}

// Milliseconds since 1970 fit for some hundred thousand years.
#[allow(clippy::cast_precision_loss)]
fn as_float(now: u64) -> f64 {
    now as f64
}

#[cfg(test)]
mod tests {
    use kugetsu_core::error::Cause;
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_795_716_655_000;
    const SHORT: Duration = Duration::from_secs(30);

    fn error(status: Option<u16>, message: &str, headers: &Value, body: &str) -> ErrorData {
        serde_json::from_value(json!({
            "message": message, "statusCode": status, "responseHeaders": headers,
            "responseBody": body,
        }))
        .unwrap()
    }

    #[test]
    fn a_limit_is_known_by_its_status_or_its_words_and_its_end_by_headers_or_body() {
        let none = json!({});
        let hour = json!({"Retry-After": "3600"});
        let epoch = (NOW / 1000 + 1800).to_string();
        let cases = [
            (error(Some(429), "slow down", &none, ""), Some(60)),
            (error(Some(429), "slow down", &hour, ""), Some(3600)),
            (error(Some(429), "x", &json!({"retry-after-ms": "90500"}), ""), Some(90)),
            (error(Some(429), "x", &json!({"x-ratelimit-reset": epoch}), ""), Some(1800)),
            (error(Some(429), "x", &json!({"x-ratelimit-reset": 90}), ""), Some(90)),
            (
                error(Some(429), "x", &json!({"x-ratelimit-reset-requests": "1h2m3s"}), ""),
                Some(3723),
            ),
            (
                error(
                    Some(429),
                    "x",
                    &json!({
                        "x-ratelimit-reset-requests": "23h", "x-ratelimit-remaining-requests": "9",
                        "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0",
                    }),
                    "",
                ),
                Some(360),
            ),
            (error(Some(429), "x", &none, r#"{"error":{"resets_in_seconds": 7200}}"#), Some(7200)),
            (error(Some(429), "x", &none, r#"{"details":[{"retryDelay":"34s"}]}"#), Some(34)),
            (error(Some(429), "x", &json!({"retry-after": "999999999"}), ""), Some(86400)),
            (error(Some(429), "x", &json!({"retry-after": "-5"}), ""), Some(60)),
            (error(Some(429), "You exceeded your current quota", &none, ""), Some(600)),
            (error(Some(403), "no", &none, r#"{"type":"insufficient_quota"}"#), Some(600)),
            (error(Some(400), "Your credit balance is too low", &none, ""), Some(600)),
            (error(Some(402), "Payment required", &none, ""), Some(600)),
            (error(None, "Too Many Requests", &none, ""), Some(60)),
            (error(Some(401), "quota of bad keys", &none, ""), None),
            (error(Some(403), "forbidden", &hour, ""), None),
            (error(Some(503), "rate limit", &hour, ""), None),
            (error(Some(500), "oops", &none, ""), None),
            (error(None, "JSON parsing failed", &none, ""), None),
        ];
        for (error, expected) in cases {
            let failure = of(&error, "mock", NOW);
            let wait = failure.as_ref().map(|failure| failure.retry.wait().as_secs());
            assert_eq!(wait, expected, "{error:?}: {failure:?}");
            if let Some(failure) = failure {
                assert_eq!(failure.cause, Cause::Limit { provider: "mock".into() });
                assert!(failure.reason.contains("mock takes no more"), "{failure}");
            }
        }
    }

    #[test]
    fn a_short_limit_is_sat_out_and_a_long_one_or_many_short_ones_are_not() {
        let told = |asks: &[(u64, u64, &str)]| -> Vec<Option<u64>> {
            let mut patience = Patience::default();
            let ends = |(attempt, wait, words): &(u64, u64, &str)| {
                let asked = (*attempt, Duration::from_secs(*wait));
                let failure = patience.ends(asked, words, "mock", (5, SHORT))?;
                Some(failure.retry.wait().as_secs())
            };
            asks.iter().map(ends).collect()
        };
        assert_eq!(told(&[(1, 3600, "rate limit")]), [Some(3600)]);
        assert_eq!(told(&[(1, 3600, "mind your manners")]), [Some(3600)]);
        assert_eq!(told(&[(1, 3600, "Service unavailable")]), [None]);
        assert_eq!(told(&[(1, 3600, "scripted error 503")]), [None]);
        assert_eq!(told(&[(1, 7, "rate limit"), (2, 7, "rate limit")]), [None, None]);
        let own = [(1, 2, "429"), (2, 4, "429"), (3, 9, "429"), (4, 19, "429")];
        assert_eq!(told(&own), [None, None, None, Some(60)]);
        assert_eq!(told(&[(6, 1, "429")]), [Some(60)]);
        assert_eq!(told(&[(1, 2, "You exceeded your current quota")]), [Some(600)]);
        assert_eq!(told(&[(1, 2, "oops"), (5, 40, "oops")]), [None, None]);
    }
}
