//! The task of whoever gives none: what the issue says.

use kugetsu_core::{Chance as _, Issue, IssueRef, IssueTracker as _};
use kugetsu_queue::{SystemChance, brief};

use crate::errors::CliError;
use crate::forges;
use crate::screen::{escape, time};
use crate::setup::Setup;

/// The longest title that is told, in characters.
const TITLE: usize = 60;

const SAY: &str = "say yourself what is to be done, as a message";

/// What is wanted, in words, and which labels the issue has if it was read for that.
pub(super) struct Wanted {
    pub(super) message: String,
    pub(super) labels: Vec<String>,
}

/// The message that was given; or else the issue's own text, read from its forge.
pub(super) async fn wanted(
    setup: &Setup,
    issue: &IssueRef,
    given: Option<String>,
) -> Result<Wanted, CliError> {
    match given {
        Some(message) => Ok(Wanted { message, labels: Vec::new() }),
        None => read(setup, issue).await,
    }
}

/// Reads the issue from its forge, and makes the message to the agent of it.
async fn read(setup: &Setup, issue: &IssueRef) -> Result<Wanted, CliError> {
    let found = fetched(setup, issue).await.map_err(|error| {
        error.within(format_args!("no message was given, and {issue} cannot be read")).or_hint(SAY)
    })?;
    let trusted = setup.firm_settings()?.trusted_authors();
    let told = brief(&found, &trusted, SystemChance.bytes()).map_err(|error| {
        CliError::failed(error.to_string())
            .hint("`trusted_authors` in config.toml says whose words are given to agents")
            .or_hint(SAY)
    })?;
    let screen = setup.screen();
    if !screen.json {
        let title = escape::line(&escape::cut(&found.title, TITLE));
        let mut notes = Vec::new();
        if told.comments > 0 {
            notes.push(time::counted(told.comments as u64, "comment"));
        }
        if told.left_out > 0 {
            notes.push(format!("{} by others left out", told.left_out));
        }
        if told.cut {
            notes.push("cut, since it is very long".to_owned());
        }
        if !found.open {
            notes.push("the issue is closed".to_owned());
        }
        let notes =
            if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        screen.remark(format!("The task is the issue's own text: {title}{notes}"));
    }
    Ok(Wanted { message: told.message, labels: found.labels })
}

async fn fetched(setup: &Setup, issue: &IssueRef) -> Result<Issue, CliError> {
    let forge = forges::of(setup, issue.repository().host()).await?;
    Ok(forge.fetch(issue).await?)
}
