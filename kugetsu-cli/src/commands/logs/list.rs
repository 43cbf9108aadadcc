//! The last logs, one a row.

use kugetsu_core::TaskQueue;
use kugetsu_queue::LogFile;

use super::listed;
use crate::commands::queue::ending;
use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

/// How much of an end and of a last line is shown.
const GLIMPSE: usize = 60;

pub(super) async fn list(count: usize, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let mut rows = Rows::new(["BEGAN", "ISSUE/KIND", "TASK", "ATTEMPT", "ENDED", "LAST LINE"]);
    let mut logs = listed(&setup.logs()?, None)?;
    logs.truncate(count);
    // The newest last, where the eye is.
    for log in logs.iter().rev() {
        // What has just been deleted is no news.
        let Ok(summary) = log.summary() else { continue };
        let ended = match summary.ended {
            Some(ended) => ended,
            None => unended(log, &queue).await?,
        };
        let cut = |text: &str| escape::cut(&escape::line(text), GLIMPSE);
        rows.row([
            time::clock(log.began),
            escape::line(&summary.issue),
            log.task.to_string(),
            log.attempt.to_string(),
            cut(&ended),
            summary.last.map_or("-".to_owned(), |last| cut(&words(&last))),
        ]);
    }
    rows.show(screen)
}

/// How an attempt stands whose log has no end.
async fn unended(log: &LogFile, queue: &TaskQueue) -> Result<String, CliError> {
    let task = queue.store().load(log.task).await?;
    let attempts = task.map(|task| task.attempts).unwrap_or_default();
    let attempt = attempts.iter().find(|attempt| attempt.number == log.attempt);
    Ok(attempt.map_or("unknown".to_owned(), |attempt| ending(&attempt.end)))
}

/// A line of a log without its columns.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
