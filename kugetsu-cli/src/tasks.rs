//! Tasks by the names that people give them: an id, or its beginning or end. Ids of one minute begin
//! alike, and end differently.

use kugetsu_core::{Task, TaskId, TaskQuery, TaskQueue};

use crate::errors::CliError;

/// How much of an id has to be given.
const LEAST: usize = 8;

/// How many tasks an error names that could be meant.
const NAMED: usize = 8;

/// Whether it looks like an id or the beginning of one, and like nothing else.
pub(crate) fn may_be_id(text: &str) -> bool {
    text.len() >= LEAST && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// The task with this id, or the only one whose id begins or ends so.
pub(crate) async fn named(queue: &TaskQueue, text: &str) -> Result<Task, CliError> {
    if let Ok(id) = text.parse::<TaskId>() {
        return Ok(queue.load(id).await?);
    }
    if !may_be_id(text) {
        return Err(CliError::usage(format!("{text:?} is no task id")).hint(format!(
            "give at least {LEAST} characters of one; `kugetsu queue list` shows them"
        )));
    }
    let text = text.to_ascii_lowercase();
    let mut found = queue.store().list(&TaskQuery::all()).await?;
    found.retain(|task| {
        task.id.to_string().starts_with(&text) || task.id.to_string().ends_with(&text)
    });
    if found.len() > 1 {
        let mut lines: Vec<String> = found
            .iter()
            .take(NAMED)
            .map(|task| format!("\n  {} ({}, {})", task.id, task.lane(), task.status()))
            .collect();
        if found.len() > NAMED {
            lines.push(format!("\n  and {} more", found.len() - NAMED));
        }
        let message = format!("{} tasks begin or end with {text}:{}", found.len(), lines.concat());
        return Err(CliError::usage(message)
            .hint("give more of it; ids end more differently than they begin"));
    }
    found.pop().ok_or_else(|| {
        CliError::failed(format!("no task begins or ends with {text}"))
            .hint("`kugetsu queue list` shows them all")
    })
}
