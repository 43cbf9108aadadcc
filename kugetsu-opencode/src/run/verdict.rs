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

/// The verdict on an idle session's turn. `patient` is false once waiting has been in vain.
pub(crate) fn of(
    turn: &Translator,
    last_error: Option<&ToldError>,
    refused: Option<&str>,
    patient: bool,
) -> Verdict {
    let failed = |failure: Failure| Verdict::Over(Finish::Failed { failure });
    if let Some(refused) = refused.or(turn.rejected()) {
        return failed(failure::refused(refused));
    }
    let Some(answer) = turn.last_answer() else {
        return match last_error {
            Some(error) if error.name == quirks::ABORTED => failed(aborted()),
            Some(error) => failed(failure::of(error)),
            None if patient => Verdict::Wait,
            None => failed(Failure::passing("opencode took the message and never began the turn")),
        };
    };
    if let Some(error) = &answer.error {
        return failed(if error.name == quirks::ABORTED { aborted() } else { failure::of(error) });
    }
    // The session is told to be idle before the error is told. (1.18.33)
    if answer.time.completed.is_none() {
        return match last_error {
            _ if patient => Verdict::Wait,
            Some(error) => failed(failure::of(error)),
            None => failed(Failure::passing("the turn ended without a last word")),
        };
    }
    match answer.finish.as_deref() {
        // Between two steps the session is busy, so this one was the last.
        Some("tool-calls") | None if patient => Verdict::Wait,
        finish => {
            match failure::of_reason(finish.unwrap_or("no reason told"), turn.said_anything()) {
                None => Verdict::Over(Finish::Done),
                Some(failure) => failed(failure),
            }
        }
    }
}

fn aborted() -> Failure {
    Failure::passing("the turn was aborted by somebody else")
}
