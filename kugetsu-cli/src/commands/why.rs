//! `kugetsu why`: gate by gate, what a task waits for.

use kugetsu_core::Clock as _;
use kugetsu_queue::gates::{Gate, GateState, Running, gates, running};
use serde_json::json;

use crate::args::Why;
use crate::errors::CliError;
use crate::screen::{Tone, escape, fold, time};
use crate::setup::{Setup, clock};
use crate::situation::{About, situation};

/// The columns before what is said of a gate.
const MARGIN: usize = 10;

pub(super) async fn why(args: Why, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    if !setup.paths()?.are_made() {
        return not_made(&args.what, setup);
    }
    let about = About::parse(&args.what, setup).await?;
    let seen = situation(&about, setup).await?;
    let (gates, running) = (gates(&seen), running(&seen));
    let task = seen.task.as_ref();
    if screen.json {
        return screen.answer(&json!({
            "about": about.lane(),
            "task": task.map(|task| task.id),
            "state": task.map(kugetsu_core::Task::status),
            "running": running,
            "gates": gates,
        }));
    }
    screen.say(screen.painted(Tone::Strong, &verdict(&about.lane(), &gates, running.as_ref())?))?;
    if let Some(task) = task {
        screen.say(format!("task {}", task.id))?;
    }
    for gate in &gates {
        shown(setup, gate)?;
    }
    Ok(())
}

/// The answer in one sentence.
fn verdict(lane: &str, gates: &[Gate], running: Option<&Running>) -> Result<String, CliError> {
    if let Some(run) = running {
        let quiet = time::stopwatch(clock()?.now().since(run.heard));
        let end = if run.is_to_end { " It is being stopped." } else { "" };
        return Ok(format!(
            "{lane} runs: attempt {} since {}, last sign of life {quiet} ago.{end}",
            run.attempt,
            time::clock(run.since),
        ));
    }
    let waits = gates.iter().find_map(|gate| match &gate.state {
        GateState::Closed { waits_for, .. } => Some(waits_for),
        _ => None,
    });
    Ok(match waits {
        Some(waits_for) => format!("{lane} does not run: {}.", escape::line(waits_for)),
        None => format!("{lane} waits for nothing: it is about to start."),
    })
}

fn shown(setup: &Setup, gate: &Gate) -> Result<(), CliError> {
    let screen = setup.screen();
    let GateState::Closed { waits_for, since, opens } = &gate.state else {
        let word = screen.painted(Tone::Good, "open  ");
        return screen.say(format!("  {word}  {}", gate.name.promise()));
    };
    let since = since.map(|since| format!(" (since {})", time::clock(since))).unwrap_or_default();
    let word = screen.painted(Tone::Bad, "closed");
    let said = format!("{}{since}.", sentence(waits_for));
    let mut lines = folded(&said, screen.width());
    lines.extend(folded(&format!("What opens it: {}", escape::line(opens)), screen.width()));
    for (index, line) in lines.iter().enumerate() {
        let margin = if index == 0 { format!("  {word}  ") } else { " ".repeat(MARGIN) };
        screen.say(margin + line)?;
    }
    Ok(())
}

/// The text in lines that fit beside the margin, broken between words.
fn folded(text: &str, width: Option<usize>) -> Vec<String> {
    fold::folded(text, width.map(|width| width.saturating_sub(MARGIN)))
}

/// A clause as a sentence begins.
fn sentence(clause: &str) -> String {
    let clause = escape::line(clause);
    let mut letters = clause.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().to_string() + letters.as_str())
}

/// Where `init` never was there is nothing to look at.
fn not_made(what: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, root) = (setup.screen(), setup.screen().path(setup.paths()?.root()));
    let waits_for = format!("kugetsu is not initialised in {root}");
    if screen.json {
        let state = json!({
            "state": "closed", "waits_for": waits_for, "since": null, "opens": "`kugetsu init`",
        });
        return screen.answer(&json!({
            "about": what,
            "task": null,
            "state": null,
            "running": null,
            "gates": [{ "name": "initialised", "state": state }],
        }));
    }
    screen.say(format!("{} does not run: {waits_for}.", escape::line(what)))?;
    screen.say("          What opens it: `kugetsu init`")
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn lines_are_broken_between_words_only() {
        assert_eq!(folded("one two three", None), ["one two three"]);
        assert_eq!(folded("one two three", Some(17)), ["one two", "three"]);
        assert_eq!(folded("a-very-long-word is whole", Some(18)), ["a-very-long-word", "is whole"]);
    }
}
