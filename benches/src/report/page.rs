//! The page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::agents::Run;
use super::measured::{Amount, Function, Group};
use super::targets::{TARGETS, Verdict};

/// All that the page tells.
#[derive(Debug)]
pub struct Page {
    /// The day, as it is written in the page.
    pub day: String,
    /// What was measured, by group.
    pub groups: BTreeMap<String, Group>,
    /// What the capacity test has measured, an engine each.
    pub runs: Vec<Run>,
    /// On what it was measured.
    pub machine: Vec<(&'static str, String)>,
}

impl Page {
    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\n\
             Written by `./scripts/bench` on {}, which anybody can run again. Each path stands beside a\n\
             yardstick that was measured in the same minutes; a ratio says how many times as long as the\n\
             yardstick it takes, so less is better. Ratios carry from machine to machine, times do not.\n\n\
             ## On what\n\n| | |\n|---|---|\n",
            self.day
        );
        for (name, value) in &self.machine {
            row(&mut text, &[name, value]);
        }
        text.push_str(
            "\n## Targets\n\n| # | path | at most | measured | |\n|---|---|---|---|---|\n",
        );
        for target in TARGETS {
            let (measured, verdict) = match target.judge(&self.groups, &self.runs) {
                Verdict::Met(value) => (shown(value), "met".to_owned()),
                Verdict::Missed(value) => {
                    (shown(value), format!("missed: {}", target.limit.unwrap_or("not explained")))
                }
                Verdict::Unmeasured => ("—".to_owned(), "not measured".to_owned()),
                Verdict::Test => {
                    ("—".to_owned(), format!("held by the test `{}`", target.function))
                }
            };
            row(
                &mut text,
                &[target.number, target.path, &shown_bound(target.most), &measured, &verdict],
            );
        }
        if !self.runs.is_empty() {
            text.push_str("\n## Agents at once\n");
            for run in &self.runs {
                run.write(&mut text);
            }
        }
        text.push_str("\n## Paths\n");
        for (name, group) in &self.groups {
            write_group(&mut text, name, group);
        }
        text
    }
}

fn write_group(text: &mut String, name: &str, group: &Group) {
    let _ = write!(text, "\n### {name}\n\n| | × | time | |\n|---|---|---|---|\n");
    let yardstick = group.yardstick();
    if let Some((name, function)) = yardstick {
        row(text, &[&format!("*{name}*"), "1", &time(function.nanos), &rate(function)]);
    }
    for (name, function) in group.others() {
        let ratio =
            yardstick.map_or_else(|| "—".into(), |(_, yard)| shown(function.nanos / yard.nanos));
        row(text, &[name, &ratio, &time(function.nanos), &rate(function)]);
    }
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// A ratio, with two figures that count.
pub(super) fn shown(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 9.95 => format!("{ratio:.0}"),
        ratio if ratio >= 0.995 => format!("{ratio:.2}"),
        ratio if ratio >= 0.01 => format!("{ratio:.3}"),
        ratio => format!("{ratio:.1e}"),
    }
}

fn shown_bound(most: f64) -> String {
    if most.is_finite() { format!("{most}") } else { "—".into() }
}

fn time(nanos: f64) -> String {
    match nanos {
        nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        nanos if nanos < 1e9 => format!("{:.2} ms", nanos / 1e6),
        nanos => format!("{:.2} s", nanos / 1e9),
    }
}

/// How much in a second, if that was said.
#[expect(clippy::cast_precision_loss, reason = "shown with three figures")]
fn rate(function: Function) -> String {
    let seconds = function.nanos / 1e9;
    match function.per_iteration {
        Some(Amount::Bytes(bytes)) => format!("{:.0} MB/s", bytes as f64 / seconds / 1e6),
        Some(Amount::Elements(elements)) if elements > 1 => {
            format!("{:.0}/s", elements as f64 / seconds)
        }
        _ => String::new(),
    }
}
