//! Whether a turn is over, and how it ended: by what opencode has stored of it.

use kugetsu_core::agent::Finish;
use kugetsu_core::error::Failure;

use crate::failure;
use crate::quirks;
use crate::wire::{ToldError, Translator};

/// What is known of a turn whose session is idle.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It has ended like this.
    Over(Finish),
    /// It is not yet written down how it ended, or it has not begun.
    Wait,
}

/// The verdict on an idle session's turn, whose model is of this provider. `patient` is false once waiting has been in vain.
pub(crate) fn of(
    turn: &Translator,
    last_error: Option<&ToldError>,
    refused: Option<&str>,
    provider: &str,
    patient: bool,
) -> Verdict {
    let failed = |failure: Failure| Verdict::Over(Finish::Failed { failure });
    let Some(answer) = turn.last_answer() else {
        return match last_error {
            Some(error) if error.name == quirks::ABORTED => failed(aborted()),
            Some(error) => failed(failure::of(error, provider)),
            None if patient => Verdict::Wait,
            None => failed(Failure::passing("opencode took the message and never began the turn")),
        };
    };
    if let Some(error) = &answer.error {
        return failed(if error.name == quirks::ABORTED {
            aborted()
        } else {
            failure::of(error, provider)
        });
    }
    // The session is told to be idle before the error is told. (1.18.33)
    if answer.time.completed.is_none() {
        return match last_error {
            _ if patient => Verdict::Wait,
            Some(error) => failed(failure::of(error, provider)),
            None => failed(Failure::passing("the turn ended without a last word")),
        };
    }
    let reason = answer.finish.as_deref().unwrap_or("no reason told");
    match refused.or(turn.rejected()) {
        // A sub-agent's refusal is for its agent to deal with; one of its own ends the turn.
        Some(refused) if reason != "stop" => return failed(failure::refused(refused)),
        // Between two steps the session is busy, so this one was the last.
        _ if reason == "tool-calls" && patient => return Verdict::Wait,
        _ => {}
    }
    match failure::of_reason(reason, turn.said_anything()) {
        None => Verdict::Over(Finish::Done),
        Some(failure) => failed(failure),
    }
}

fn aborted() -> Failure {
    Failure::passing("the turn was aborted by somebody else")
}
