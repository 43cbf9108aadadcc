//! `kugetsu queue show`: a task with all its attempts.

use std::path::PathBuf;

use kugetsu_core::{AttemptEnd, AttemptRecord, Outcome, Task, TaskState};

use super::hold;
use crate::errors::CliError;
use crate::screen::{escape, time};
use crate::setup::Setup;

pub(super) async fn show(task: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let task = setup.task(task).await?;
    if screen.json {
        return screen.answer(&task);
    }
    let mut rows = vec![
        ("task", task.id.to_string()),
        ("for", task.lane()),
        ("state", task.status().to_string()),
        ("priority", task.priority.0.to_string()),
        ("created", time::clock(task.created)),
    ];
    rows.extend(task.key.as_deref().map(|key| ("key", escape::line(key))));
    rows.extend(task.asked_by.map(|by| ("asked by", format!("the agent of task {by}"))));
    rows.push(("message", escape::text(task.request.message())));
    match &task.state {
        TaskState::Pending { due } => {
            let wait = due.wait(queue.clock().moment());
            if !wait.is_zero() {
                rows.push(("due in", time::stopwatch(wait)));
            }
        }
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => {
            rows.push(("error", escape::line(&failure.reason)));
        }
        TaskState::Settled { outcome: Outcome::Completed { report }, .. } => {
            rows.push(("answer", escape::text(&report.answer)));
        }
        _ => {}
    }
    for (name, value) in rows {
        screen.say(format!("{name:<10} {value}"))?;
    }
    for attempt in &task.attempts {
        for line in told(setup, &task, attempt)? {
            screen.say(line)?;
        }
    }
    if !task.is_settled() {
        hold::remark(setup, &setup.holds().await?.active().await?)?;
        screen.remark(format!("hint: `kugetsu why {}` says what it waits for", task.id));
    }
    Ok(())
}

fn told(setup: &Setup, task: &Task, attempt: &AttemptRecord) -> Result<Vec<String>, CliError> {
    let (number, began, end) = (attempt.number, time::clock(attempt.started), ending(&attempt.end));
    let mut lines = vec![format!("attempt {number}  {began}  {}  {end}", attempt.worker)];
    let took = attempt.ended.map(|ended| time::stopwatch(ended.since(attempt.started)));
    let usage = attempt.usage;
    if usage.total() > 0 {
        lines.push(format!(
            "  tokens   {} ({} in, {} out)",
            time::grouped(usage.total()),
            time::grouped(usage.input.saturating_add(usage.cache_read)),
            time::grouped(usage.output.saturating_add(usage.reasoning)),
        ));
    }
    lines.extend(took.map(|took| format!("  took     {took}")));
    let log = log(setup, task, attempt)?;
    lines.extend(log.map(|log| format!("  log      {}", setup.screen().path(&log))));
    Ok(lines)
}

/// The attempt's log, if it is still there.
fn log(setup: &Setup, task: &Task, attempt: &AttemptRecord) -> Result<Option<PathBuf>, CliError> {
    let stem = task.request.issue().map_or("pm".to_owned(), kugetsu_core::IssueRef::stem);
    let end = format!("-{}-{}.log", task.id, attempt.number);
    let logs = std::fs::read_dir(setup.paths()?.logs().join(stem)).into_iter().flatten().flatten();
    Ok(logs.map(|log| log.path()).find(|log| log.to_string_lossy().ends_with(&end)))
}

pub(in crate::commands) fn ending(end: &AttemptEnd) -> String {
    match end {
        AttemptEnd::Running => "at work".into(),
        AttemptEnd::Succeeded => "succeeded".into(),
        AttemptEnd::Failed { failure } => format!("failed: {}", escape::line(&failure.reason)),
        AttemptEnd::Released { reason } => format!("given back: {}", escape::line(reason)),
        AttemptEnd::Lost => "lost: its process died".into(),
        AttemptEnd::Cancelled => "cancelled".into(),
        _ => "ended in an unknown way".into(),
    }
}
