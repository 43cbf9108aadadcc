//! What an import tells: a line for each thing.

use serde::Serialize;
use serde_json::json;

use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{Screen, Tone, escape};

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    Imported,
    /// It was there before.
    Present,
    /// It is of no use here, or cannot be read; the note says why.
    Skipped,
    /// It can be read and could not be imported.
    Failed,
}

#[derive(Debug, Serialize)]
struct Line {
    fate: Fate,
    what: &'static str,
    name: String,
    note: String,
}

/// What became of everything.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Line>);

impl Report {
    pub(super) fn add(
        &mut self,
        fate: Fate,
        what: &'static str,
        name: impl Into<String>,
        note: impl Into<String>,
    ) {
        self.0.push(Line { fate, what, name: name.into(), note: note.into() });
    }

    pub(super) fn count(&self, fate: Fate) -> usize {
        self.0.iter().filter(|line| line.fate == fate).count()
    }

    /// Shows it, and is an error if something failed that should not have.
    pub(super) fn show(&self, screen: &Screen, dry_run: bool) -> Result<(), CliError> {
        let [imported, present, skipped, failed] =
            [Fate::Imported, Fate::Present, Fate::Skipped, Fate::Failed].map(|f| self.count(f));
        if screen.json {
            screen.answer(&json!({
                "dry_run": dry_run,
                "imported": imported,
                "present": present,
                "skipped": skipped,
                "failed": failed,
                "lines": self.0,
            }))?;
        } else {
            self.table(screen, dry_run)?;
            let would = if dry_run { "would be " } else { "" };
            screen.say(screen.painted(
                Tone::Strong,
                &format!(
                    "{imported} {would}imported, {present} here already, {skipped} skipped, \
                     {failed} failed"
                ),
            ))?;
        }
        if failed > 0 { Err(CliError::silent()) } else { Ok(()) }
    }

    fn table(&self, screen: &Screen, dry_run: bool) -> Result<(), CliError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut rows = Rows::new(["", "WHAT", "NAME", "NOTE"]);
        for line in &self.0 {
            let fate = match line.fate {
                Fate::Imported if dry_run => "would import",
                Fate::Imported => "imported",
                Fate::Present => "here already",
                Fate::Skipped => "skipped",
                Fate::Failed => "failed",
            };
            let note = if line.note.is_empty() { "-".to_owned() } else { escape::line(&line.note) };
            rows.row([fate.into(), line.what.into(), escape::line(&line.name), note]);
        }
        rows.show(screen)
    }
}
