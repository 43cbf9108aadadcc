//! What opencode's errors mean for trying again.

use std::time::{SystemTime, UNIX_EPOCH};

use kugetsu_core::error::{Failure, Retry};

use crate::limit;
use crate::wire::ToldError;

/// What is wrong with this machine, not with the turn, in opencode's words.
const OUTSIDE: [&str; 7] = [
    "database is locked",
    "sqlite_busy",
    "enospc",
    "no space left on device",
    "disk is full",
    "emfile",
    "too many open files",
];

/// How a wait for the model's provider is told.
pub(crate) const ASKED_AGAIN: &str = "the model's provider failed and is asked again";

/// The error as a failure of a turn whose model is of this provider.
pub(crate) fn of(error: &ToldError, provider: &str) -> Failure {
    if let Some(limit) = limit::of(&error.data, provider, now()) {
        return limit;
    }
    let reason = words(error);
    let lower = reason.to_lowercase();
    // What a provider answers tells of its own machine.
    if error.data.status_code.is_none() && OUTSIDE.iter().any(|word| lower.contains(word)) {
        return Failure::interruption(format!("opencode could not go on: {reason}"));
    }
    Failure::new(format!("the model failed: {reason}"), retry(error))
}

/// In milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
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
        Some(408 | 409 | 425 | 500..) => {
            limit::wait(&error.data, now()).map_or(Retry::Later, Retry::after)
        }
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
