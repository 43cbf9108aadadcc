//! `kugetsu queue pause` and `resume`, and how a hold is told.

use kugetsu_core::Clock as _;
use kugetsu_queue::{Hold, HoldKind};
use serde_json::{Value, json};

use crate::errors::CliError;
use crate::screen::{escape, time};
use crate::setup::{Setup, clock};

pub(super) async fn pause(reason: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, now) = (setup.screen(), setup.holds().await?.pause(reason).await?);
    if screen.json {
        return screen.answer(&json!({ "queue": "paused", "already": !now }));
    }
    if now {
        screen.say("The queue is paused. What runs goes on; nothing more is begun.")?;
        screen.remark("hint: `kugetsu queue resume` ends the pause");
        return Ok(());
    }
    screen.say("The queue is paused already.")?;
    remark(setup, &setup.holds().await?.active().await?)
}

pub(super) async fn resume(setup: &Setup) -> Result<(), CliError> {
    let (screen, was) = (setup.screen(), setup.holds().await?.resume().await?);
    if screen.json {
        return screen.answer(&json!({ "queue": "resumed", "already": !was }));
    }
    screen.say(if was { "The queue goes on." } else { "The queue was not paused." })?;
    remark(setup, &setup.holds().await?.active().await?)
}

/// Tells beside the answer what holds the queue.
pub(in crate::commands) fn remark(setup: &Setup, holds: &[Hold]) -> Result<(), CliError> {
    for hold in holds {
        setup.screen().remark(format!("note: {}", in_words(hold)?));
    }
    Ok(())
}

/// What holds, since when and until when, in one line.
fn in_words(hold: &Hold) -> Result<String, CliError> {
    let mut told =
        format!("{} since {}", escape::line(&hold.kind.to_string()), time::clock(hold.since));
    if !hold.reason.is_empty() {
        told = format!("{told}: {}", escape::line(&hold.reason));
    }
    let end = match (&hold.kind, hold.until) {
        (HoldKind::Pause, _) => " (`kugetsu queue resume` ends it)".to_owned(),
        (HoldKind::Room, _) => " (it goes on by itself as soon as there is some)".to_owned(),
        (HoldKind::Circuit, Some(until)) => {
            let wait = time::stopwatch(until.wait(clock()?.moment()));
            format!(" (the next attempt tries in {wait}; `kugetsu queue resume` ends it)")
        }
        (_, Some(until)) => {
            let wait = until.wait(clock()?.moment());
            format!(" (it ends by itself in {})", time::stopwatch(wait))
        }
        _ => String::new(),
    };
    Ok(told + &end)
}

/// The holds as programs read them.
pub(in crate::commands) fn json_of(holds: &[Hold]) -> Value {
    let told = holds.iter().map(|hold| {
        let provider = match &hold.kind {
            HoldKind::Provider(name) => Some(name),
            _ => None,
        };
        json!({
            "hold": word(&hold.kind),
            "provider": provider,
            "reason": hold.reason,
            "since": time::rfc3339(hold.since),
            "until": hold.until.and_then(|until| time::rfc3339(until.after_reboot)),
        })
    });
    told.collect()
}

/// What a kind of hold is called by programs.
fn word(kind: &HoldKind) -> &'static str {
    match kind {
        HoldKind::Pause => "pause",
        HoldKind::Provider(_) => "provider",
        HoldKind::Circuit => "circuit",
        HoldKind::Room => "room",
        _ => "unknown",
    }
}
