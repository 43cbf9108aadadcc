//! What opencode's errors mean for trying again.

use std::time::Duration;

use kugetsu_core::error::{Failure, Retry};

use crate::wire::ToldError;

/// How long to wait after "too many requests" if nobody says how long.
const BREATHER: Duration = Duration::from_mins(1);

/// The error as a failure of the turn.
pub(crate) fn of(error: &ToldError) -> Failure {
    Failure::new(format!("the model failed: {}", words(error)), retry(error))
}

/// The failure of a turn in which something was asked that nobody may answer.
pub(crate) fn refused(what: &str) -> Failure {
    Failure::fatal(format!("the agent asked for what nobody may answer, and was refused: {what}"))
}

/// What the reason that the model gave for its end means; `None` is a good one.
pub(crate) fn of_reason(reason: &str, said_anything: bool) -> Option<Failure> {
    Some(match reason {
        "stop" | "end_turn" | "end-turn" if said_anything => return None,
        "stop" | "end_turn" | "end-turn" => {
            Failure::passing("the turn was empty: the agent said and did nothing")
        }
        "length" => Failure::passing("the answer was cut off at its greatest length"),
        "content-filter" => Failure::fatal("the model's provider filtered the answer"),
        other => Failure::passing(format!("the turn ended in the middle ({other})")),
    })
}

fn words(error: &ToldError) -> String {
    let message = crate::wire::first_line(&error.data.message, 300);
    match (message.is_empty(), error.data.status_code) {
        (true, _) => error.name.clone(),
        (false, Some(status)) => format!("{message} ({} {status})", error.name),
        (false, None) => format!("{message} ({})", error.name),
    }
}

fn retry(error: &ToldError) -> Retry {
    match error.data.status_code {
        Some(429) => Retry::after(retry_after(error).unwrap_or(BREATHER)),
        Some(408 | 409 | 425 | 500..) => Retry::Later,
        Some(400..) => Retry::Never,
        _ if is_for_good(error) => Retry::Never,
        _ => Retry::Later,
    }
}

/// Errors that name no status but come again each time.
fn is_for_good(error: &ToldError) -> bool {
    let message = &error.data.message;
    matches!(error.name.as_str(), "ProviderAuthError" | "ContextOverflowError")
        || message.starts_with("Model not found")
        || message.starts_with("Agent not found")
        || error.data.is_retryable == Some(false) && error.data.status_code.is_some()
}

fn retry_after(error: &ToldError) -> Option<Duration> {
    let header = |name: &str| {
        let (_, value) =
            error.data.response_headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        value.as_str().map_or_else(|| value.as_u64(), |text| text.trim().parse().ok())
    };
    header("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| header("retry-after").map(Duration::from_secs))
}
