//! What happens in an attempt, as lines of its log.

use std::sync::Arc;

use kugetsu_core::{AgentEvent, Finish, Happening, Timestamp, Usage};

use super::plain::{self, Plain};
use super::utc;
use crate::mask::{Mask, Veil};

/// The longest line of an agent's text, in bytes; a longer one is broken.
const LONGEST: usize = 2000;

/// The word in front of the last line.
pub(super) const ENDED: &str = "ended";

/// Turns what happens into lines. Every line of what an agent says begins with a time and a word of
/// kugetsu's own, so that none looks like what it is not.
#[derive(Debug)]
pub(super) struct Words {
    mask: Arc<Mask>,
    text: Option<Text>,
}

/// A text of an agent that goes on. What stood apart in it may stand together once it is plain, so
/// it is masked again.
#[derive(Debug)]
struct Text {
    label: &'static str,
    at: Timestamp,
    plain: Plain,
    veil: Veil,
    line: String,
}

impl Words {
    pub(super) fn new(mask: Arc<Mask>) -> Self {
        Self { mask, text: None }
    }

    /// The lines that there are to write now that this has happened.
    pub(super) fn hear(&mut self, at: Timestamp, what: &Happening) -> Vec<String> {
        let piece = match what {
            Happening::Agent(AgentEvent::Message { text }) => Some(("says", text)),
            Happening::Agent(AgentEvent::Thought { text }) => Some(("thinks", text)),
            _ => None,
        };
        if let Some((label, piece)) = piece {
            return self.piece(at, label, piece);
        }
        let mut lines = self.rest();
        lines.extend(self.other(at, what));
        lines
    }

    /// What is held back for its line's end.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let Some(mut text) = self.text.take() else { return Vec::new() };
        let rest = text.veil.rest();
        text.line.push_str(&rest);
        text.line.push('\n');
        text.broken()
    }

    /// What kugetsu itself has to say.
    pub(super) fn note(&self, at: Timestamp, what: &str) -> String {
        body(at, "notes", &self.one(what))
    }

    /// How it ended.
    pub(super) fn end(&self, at: Timestamp, how: &str) -> String {
        body(at, ENDED, &self.one(how))
    }

    /// A line in front of everything, such as which task it is.
    pub(super) fn head(&self, name: &str, value: &str) -> String {
        format!("{name:<9} {}", self.one(value))
    }

    fn piece(&mut self, at: Timestamp, label: &'static str, piece: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.text.as_ref().is_some_and(|text| text.label != label) {
            lines = self.rest();
        }
        let new = || Text {
            label,
            at,
            plain: Plain::default(),
            veil: Veil::new(Arc::clone(&self.mask)),
            line: String::new(),
        };
        let text = self.text.get_or_insert_with(new);
        if text.line.is_empty() {
            text.at = at;
        }
        let plain = text.plain.push(piece);
        text.line.push_str(&text.veil.push(&plain));
        lines.extend(text.broken());
        lines
    }

    fn other(&self, at: Timestamp, what: &Happening) -> Vec<String> {
        let line = |label, text: &str| vec![body(at, label, &self.one(text))];
        match what {
            Happening::WorktreeReady { branch, path, created } => {
                let made = if *created { "new" } else { "as it was" };
                vec![
                    self.head("worktree", path),
                    self.head("branch", &format!("{branch} ({made})")),
                ]
            }
            Happening::SessionReady { session, how } => {
                vec![self.head("session", &format!("{session} ({how})"))]
            }
            Happening::CancelRequested => line("stop", "somebody wants it to stop"),
            Happening::Agent(agent) => match agent {
                AgentEvent::ToolStarted { tool, title, .. } => {
                    line("tool", &format!("{tool}: {title}"))
                }
                AgentEvent::ToolEnded { tool, ok, summary, .. } => {
                    let ok = if *ok { "ok" } else { "failed" };
                    line("tool", &format!("{tool} {ok}: {summary}"))
                }
                AgentEvent::Asked { text, refused, .. } => {
                    let refused = if *refused { " (refused: nobody may answer)" } else { "" };
                    line("asks", &format!("{text}{refused}"))
                }
                AgentEvent::Waiting { reason } => line("waits", reason),
                AgentEvent::Usage(usage) => line("used", &used(*usage)),
                AgentEvent::Finished(Finish::Failed { failure }) => line("fails", &failure.reason),
                AgentEvent::Unknown(unknown) => line("does", &unknown.kind),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn one(&self, text: &str) -> String {
        self.mask.cut_text(&plain::line(text)).into_owned()
    }
}

impl Text {
    /// The lines that are complete, and all if what is left of them is too long.
    fn broken(&mut self) -> Vec<String> {
        let end = match self.line.rfind('\n') {
            Some(end) => end + 1,
            None if self.line.len() > LONGEST => self.line.len(),
            None => 0,
        };
        let done: String = self.line.drain(..end).collect();
        let lines = done.lines().map(str::trim_end).flat_map(parts);
        lines.map(|part| body(self.at, self.label, part)).collect()
    }
}

/// The line, broken where it is too long. Nothing of an empty one.
fn parts(mut line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    while !line.is_empty() {
        let (part, rest) = line.split_at(line.floor_char_boundary(LONGEST));
        parts.push(part);
        line = rest;
    }
    parts
}

fn body(at: Timestamp, label: &str, text: &str) -> String {
    format!("{} {label:<6} {text}", utc::of_day(at)).trim_end().to_owned()
}

fn used(usage: Usage) -> String {
    let Usage { input, output, reasoning, .. } = usage;
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    format!("{input} tokens in, {cached} from or to the cache, {output} out, {reasoning} thought")
}
