//! Tasks that nobody has finished, and what people were told.

use kugetsu_core::{Notice, Queued, Request, TaskId};
use kugetsu_queue::inbox::Notices;
use serde_json::json;

use super::Import;
use super::old::{OldNotice, OldTask};
use super::report::{Fate, Report};
use crate::errors::CliError;

impl Import<'_> {
    pub(super) async fn tasks(&self, report: &mut Report) -> Result<(), CliError> {
        for task in self.reading().tasks(report) {
            let whose = task.issue.as_ref().map_or("the PM".to_owned(), ToString::to_string);
            let note = format!("for {whose}");
            let fate = if self.dry_run { Fate::Imported } else { self.enqueue(&task).await? };
            report.add(fate, "task", task.name, note);
        }
        Ok(())
    }

    async fn enqueue(&self, task: &OldTask) -> Result<Fate, CliError> {
        let queue = self.setup.queue().await?;
        let request = match &task.issue {
            Some(issue) => Request::dev(issue.clone(), &*task.message),
            None => Request::pm(&*task.message),
        };
        // The same file with another request in it is another task.
        let whose = task.issue.as_ref().map(ToString::to_string).unwrap_or_default();
        let content = TaskId::of_key(&format!("{}\n{whose}\n{}", task.name, task.message));
        let new = queue.keyed_task(&format!("import-{content}"), request);
        Ok(match queue.enqueue(&new).await? {
            Queued::New => Fate::Imported,
            Queued::Already(_) => Fate::Present,
        })
    }

    pub(super) async fn notices(&self, report: &mut Report) -> Result<(), CliError> {
        let notices = self.reading().notices(report);
        if notices.is_empty() {
            return Ok(());
        }
        let count = |notices: usize| match notices {
            1 => "1 notice".to_owned(),
            more => format!("{more} notices"),
        };
        if self.dry_run {
            report.add(Fate::Imported, "notices", "notifications.json", count(notices.len()));
            return Ok(());
        }
        let Some(inbox) = self.setup.stores().await?.inbox.clone() else {
            report.add(Fate::Skipped, "notices", "notifications.json", "the store keeps none");
            return Ok(());
        };
        let there = inbox.notices(Notices::All).await?;
        let mut known: std::collections::BTreeSet<String> =
            there.into_iter().map(|stored| stored.notice.key).collect();
        let (mut new, mut read) = (0_usize, Vec::new());
        for old in &notices {
            let notice = notice(old)?;
            if !known.insert(notice.key.clone()) {
                continue;
            }
            inbox
                .notify(&notice)
                .await
                .map_err(|error| CliError::backend(error.retry(), &error))?;
            new += 1;
            if old.is_read {
                read.push(notice.key);
            }
        }
        inbox.mark_read(&read).await?;
        if new > 0 {
            report.add(Fate::Imported, "notices", "notifications.json", count(new));
        }
        if new < notices.len() {
            let note = count(notices.len() - new);
            report.add(Fate::Present, "notices", "notifications.json", note);
        }
        Ok(())
    }
}

/// The notice, under a key that is made of all that it says.
fn notice(old: &OldNotice) -> Result<Notice, CliError> {
    let issue = old.issue.as_ref().map(ToString::to_string);
    let whose = issue.clone().unwrap_or_default();
    let content = TaskId::of_key(&format!("{}\n{}\n{whose}\n{}", old.kind, old.at, old.text));
    let severity = match old.kind {
        "task_error" => "error",
        "task_blocked" => "warning",
        _ => "info",
    };
    serde_json::from_value(json!({
        "key": format!("import-{content}"),
        "at": old.at,
        "kind": old.kind,
        "severity": severity,
        "task": content,
        "issue": issue,
        "text": old.text,
    }))
    .map_err(|error| CliError::failed(format!("could not make a notice: {error}")))
}
