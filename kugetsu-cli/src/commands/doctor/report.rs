//! How the findings are told.

use serde_json::json;

use super::finding::{Finding, Group, Severity};
use crate::errors::CliError;
use crate::screen::fold::folded;
use crate::screen::{Screen, Tone, escape, time};
use crate::setup::Setup;

/// The column in which what is told begins.
const MARGIN: usize = 11;

pub(super) fn show(
    mended: &[Finding],
    left: &[Finding],
    fixes: bool,
    setup: &Setup,
) -> Result<(), CliError> {
    let screen = setup.screen();
    let worst = left.iter().map(|finding| finding.severity).max();
    if screen.json {
        return screen.answer(&json!({
            "directory": setup.paths()?.root(),
            "worst": worst.map_or("ok", Severity::word),
            "findings": left,
            "mended": mended,
        }));
    }
    for group in Group::ALL {
        let of = |findings: &[Finding]| -> Vec<Finding> {
            findings.iter().filter(|finding| finding.group == group).cloned().collect()
        };
        let (mended, left) = (of(mended), of(left));
        if mended.is_empty() && left.is_empty() {
            let title = format!("{:<26}", group.title());
            screen.say(format!("{title}{}", screen.painted(Tone::Good, "ok")))?;
            continue;
        }
        screen.say(screen.painted(Tone::Strong, group.title()))?;
        for finding in mended.iter().chain(&left) {
            tell(screen, finding)?;
        }
    }
    screen.say("")?;
    screen.say(summary(mended, left))?;
    let curable = left.iter().filter(|finding| finding.fixable).count();
    if curable > 0 && !fixes {
        let what = if curable == 1 { "one of them".into() } else { format!("{curable} of them") };
        screen.remark(format!("hint: `kugetsu doctor --fix` mends {what} and loses nothing"));
    }
    Ok(())
}

fn tell(screen: &Screen, finding: &Finding) -> Result<(), CliError> {
    let (word, tone) = match (&finding.mended, finding.severity) {
        (Some(_), _) => ("mended", Tone::Good),
        (None, Severity::Error) => ("error", Tone::Bad),
        (None, Severity::Warning) => ("warning", Tone::Strong),
        (None, Severity::Note) => ("note", Tone::Plain),
    };
    let room = screen.width().map(|width| width.saturating_sub(MARGIN));
    let mut lines = folded(&sentence(&finding.found), room).into_iter();
    let first = lines.next().unwrap_or_default();
    screen.say(format!("  {}{first}", screen.painted(tone, &format!("{word:<9}"))))?;
    let beside = |line: &str| format!("{:MARGIN$}{line}", "");
    for line in lines {
        screen.say(beside(&line))?;
    }
    let mut rest = vec![match &finding.mended {
        Some(what) => sentence(what),
        None => sentence(&format!("{} ({})", finding.why, finding.check)),
    }];
    if finding.mended.is_none() {
        rest.push(format!("To mend it: {}", escape::line(&finding.mend)));
    }
    if let Some(why) = &finding.failed {
        rest.push(format!("It could not be mended: {}", escape::line(why)));
    }
    for text in rest {
        for line in folded(&text, room) {
            screen.say(screen.painted(Tone::Faint, &beside(&line)))?;
        }
    }
    Ok(())
}

fn summary(mended: &[Finding], left: &[Finding]) -> String {
    let count = |severity| {
        let count = left.iter().filter(|finding| finding.severity == severity).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    };
    let counts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| time::counted(count(severity), severity.word()))
        .collect();
    let left = if counts.is_empty() { "Nothing is wrong".into() } else { counts.join(", ") };
    match mended.len() {
        0 => format!("{left}."),
        _ if counts.is_empty() => format!("{} mended; nothing else is wrong.", mended.len()),
        all => format!("{all} mended. Left: {left}."),
    }
}

/// A clause as a sentence begins, but for a path, an address or a setting.
fn sentence(clause: &str) -> String {
    let clause = escape::line(clause);
    let mut words = clause.split(' ');
    let is_word = words.next().is_some_and(|word| word.chars().all(char::is_alphabetic))
        && words.next() != Some("=");
    let mut letters = clause.chars();
    match letters.next() {
        Some(first) if is_word => first.to_uppercase().to_string() + letters.as_str(),
        _ => clause,
    }
}
