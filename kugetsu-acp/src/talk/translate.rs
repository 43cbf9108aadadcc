//! What an agent tells, as core's events.

use std::collections::HashMap;

use agent_client_protocol::v1::schema::{
    ContentBlock, ContentChunk, EmbeddedResourceResource, SessionUpdate, ToolCallContent,
    ToolCallStatus, ToolCallUpdateFields, ToolKind, UsageUpdate,
};
use kugetsu_core::agent::{AgentEvent, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Letter;
use super::calls::fields_of;
use crate::text::{LINE, first_line, summary};

/// A text that is longer is told in pieces, in bytes.
const PIECE: usize = 4096;

/// Where some tell with which status a command exited.
const EXITS: [&str; 4] = ["/metadata/exit", "/exit_code", "/exitCode", "/metadata/exitCode"];

/// How many calls of one turn are kept apart.
const MOST: usize = 10_000;

/// What an agent said that a session has used, in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Used {
    /// Tokens in its context.
    pub(crate) context: u64,
    /// Millionths of a US dollar.
    pub(crate) cost_micros: u64,
}

/// Turns what is told of one session into events.
#[derive(Debug)]
pub(crate) struct Translator {
    session: String,
    calls: HashMap<String, Seen>,
    /// Text that is not told yet, and whether it is a thought.
    writing: Option<(bool, String)>,
    said: bool,
    /// The call and the words of what was refused since anything else happened.
    refused: Option<(String, String)>,
    used: Used,
}

/// A use of a tool.
#[derive(Debug, Default)]
struct Seen {
    tool: String,
    title: String,
    kind: ToolKind,
    output: String,
    is_started: bool,
    is_ended: bool,
    exit: Option<i64>,
}

impl Translator {
    /// For a session that has used this much so far.
    pub(crate) fn new(session: impl Into<String>, used: Used) -> Self {
        Self {
            session: session.into(),
            calls: HashMap::new(),
            writing: None,
            said: false,
            refused: None,
            used,
        }
    }

    /// Whether anything was said or done that is no mere thought.
    pub(crate) fn said_anything(&self) -> bool {
        self.said
    }

    /// What was refused, if the agent then did nothing more.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, text)| text.as_str())
    }

    /// What the session has used, in all.
    pub(crate) fn used(&self) -> Used {
        self.used
    }

    /// The events that the letter tells. Those of other sessions tell nothing.
    pub(crate) fn read(&mut self, letter: Letter) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        match letter {
            Letter::Update { session, update } if session == self.session => {
                self.update(*update, &mut events);
            }
            Letter::Strange { session, what } if session == self.session => {
                self.end_writing(&mut events);
                events.push(AgentEvent::Unknown(what));
            }
            // Whoever asks: a sub-agent may work in a session of its own.
            Letter::Refused { session, call, text } => {
                self.end_writing(&mut events);
                if session == self.session {
                    self.refused = Some((call.clone(), text.clone()));
                }
                events.push(AgentEvent::Asked { question: call, text, refused: true });
            }
            Letter::Update { .. } | Letter::Strange { .. } => {}
        }
        events
    }

    /// What is held back because more of it may come.
    pub(crate) fn flush(&mut self) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        self.end_writing(&mut events);
        events
    }

    fn update(&mut self, update: SessionUpdate, events: &mut Vec<AgentEvent>) {
        match update {
            SessionUpdate::AgentMessageChunk(chunk) => self.written(false, &chunk, events),
            SessionUpdate::AgentThoughtChunk(chunk) => self.written(true, &chunk, events),
            SessionUpdate::ToolCall(call) => {
                self.end_writing(events);
                self.tool(&call.tool_call_id.0, &fields_of(&call), events);
            }
            SessionUpdate::ToolCallUpdate(update) => {
                self.end_writing(events);
                self.tool(&update.tool_call_id.0, &update.fields, events);
            }
            SessionUpdate::UsageUpdate(update) => {
                self.end_writing(events);
                self.usage(&update, events);
            }
            // Plans, modes, commands and titles are for who sits before an editor.
            _ => {}
        }
    }

    fn written(&mut self, is_thought: bool, chunk: &ContentChunk, events: &mut Vec<AgentEvent>) {
        let text = words(&chunk.content);
        if text.is_empty() {
            return;
        }
        if self.writing.as_ref().is_some_and(|(was_thought, _)| *was_thought != is_thought) {
            self.end_writing(events);
        }
        let (_, held) = self.writing.get_or_insert((is_thought, String::new()));
        held.push_str(&text);
        let whole_lines = held.rfind('\n').map(|end| end + 1);
        let tell = if held.len() > PIECE { Some(held.len()) } else { whole_lines };
        if let Some(end) = tell {
            let rest = held.split_off(end);
            self.end_writing(events);
            if !rest.is_empty() {
                self.writing = Some((is_thought, rest));
            }
        }
    }

    fn end_writing(&mut self, events: &mut Vec<AgentEvent>) {
        let Some((is_thought, text)) = self.writing.take() else { return };
        if is_thought {
            events.push(AgentEvent::Thought { text });
            return;
        }
        if !text.trim().is_empty() {
            self.said = true;
            self.refused = None;
        }
        events.push(AgentEvent::Message { text });
    }

    fn tool(&mut self, id: &str, fields: &ToolCallUpdateFields, events: &mut Vec<AgentEvent>) {
        if !self.calls.contains_key(id) && self.calls.len() >= MOST {
            self.calls.retain(|_, seen| !seen.is_ended);
            if self.calls.len() >= MOST {
                return;
            }
        }
        let seen = self.calls.entry(id.to_owned()).or_default();
        if seen.is_ended {
            return;
        }
        seen.note(fields);
        let ended = match fields.status {
            Some(ToolCallStatus::Completed) => Some(true),
            Some(ToolCallStatus::Failed) => Some(false),
            _ => None,
        };
        // As long as the model still writes what the tool is to do, there is nothing to tell.
        let is_known = fields.status.is_none_or(|status| status != ToolCallStatus::Pending)
            || !fields.raw_input.as_ref().is_none_or(is_nothing);
        if is_known && !seen.is_started {
            seen.is_started = true;
            self.said = true;
            self.refused.take_if(|(refused, _)| refused != id);
            events.push(AgentEvent::ToolStarted {
                call: id.to_owned(),
                tool: seen.tool.clone(),
                title: seen.title.clone(),
            });
        }
        if let Some(is_done) = ended {
            seen.is_ended = true;
            events.push(AgentEvent::ToolEnded {
                call: id.to_owned(),
                tool: seen.tool.clone(),
                ok: is_done && seen.exit.is_none_or(|code| code == 0),
                summary: summary(&seen.output),
            });
        }
    }

    fn usage(&mut self, update: &UsageUpdate, events: &mut Vec<AgentEvent>) {
        // After a failure some tell 0, which is not how much is in the context.
        let context = if update.used == 0 { self.used.context } else { update.used };
        let cost = update.cost.as_ref().filter(|cost| cost.currency.eq_ignore_ascii_case("usd"));
        let cost = cost.map_or(self.used.cost_micros, |cost| micros(cost.amount));
        let mut more = Usage::tokens(context.saturating_sub(self.used.context), 0);
        more.cost_micros = cost.saturating_sub(self.used.cost_micros);
        // What was compacted has been used all the same.
        self.used = Used { context, cost_micros: cost.max(self.used.cost_micros) };
        if more != Usage::default() {
            events.push(AgentEvent::Usage(more));
        }
    }
}

impl Seen {
    fn note(&mut self, fields: &ToolCallUpdateFields) {
        if let Some(kind) = fields.kind {
            self.kind = kind;
        }
        let title = fields.title.as_deref().map(|title| first_line(title, LINE));
        if let Some(name) = fields.name.as_deref().map(|name| first_line(name, LINE)) {
            self.tool = name;
        } else if self.tool.is_empty() {
            // Some call a tool by its name before they know what for.
            self.tool = match &title {
                Some(title) if is_name(title) => title.clone(),
                _ => kind_name(self.kind).to_owned(),
            };
        }
        match title {
            // A tool's name says nothing of what it is used for.
            Some(title) if !title.is_empty() && title != self.tool => self.title = title,
            _ => {}
        }
        if self.title.is_empty()
            && let Some(input) = &fields.raw_input
        {
            self.title = purpose(input);
        }
        let said = fields.content.iter().flatten().find_map(|content| match content {
            ToolCallContent::Content(content) => Some(words(&content.content)),
            _ => None,
        });
        if let Some(said) = said.filter(|said| !said.trim().is_empty()) {
            self.output = said;
        }
        if let Some(raw) = &fields.raw_output {
            let text = raw.as_str().or_else(|| {
                ["error", "output", "stdout"].iter().find_map(|name| raw.get(*name)?.as_str())
            });
            if self.output.is_empty() {
                text.unwrap_or_default().clone_into(&mut self.output);
            }
            self.exit = EXITS.iter().find_map(|path| raw.pointer(path)?.as_i64()).or(self.exit);
        }
    }
}

fn is_nothing(input: &Value) -> bool {
    match input {
        Value::Null => true,
        Value::Object(members) => members.keys().all(|name| name == "cwd"),
        _ => false,
    }
}

fn is_name(title: &str) -> bool {
    !title.is_empty()
        && title.len() <= 40
        && title.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn kind_name(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "execute",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::SwitchMode => "switch_mode",
        _ => "tool",
    }
}

/// What a tool is used for, by what it was given.
fn purpose(input: &Value) -> String {
    const TELLING: [&str; 9] = [
        "description",
        "command",
        "filePath",
        "file_path",
        "pattern",
        "path",
        "url",
        "query",
        "prompt",
    ];
    let given = TELLING.iter().find_map(|name| input.get(*name)?.as_str());
    first_line(given.unwrap_or_default(), LINE)
}

/// The words of a piece of content; of anything but text, where it is.
fn words(content: &ContentBlock) -> String {
    match content {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::ResourceLink(link) => link.uri.clone(),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            EmbeddedResourceResource::TextResourceContents(text) => text.text.clone(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// Nobody's bill is larger than this can hold, and some tell less than nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn micros(amount: f64) -> u64 {
    // The cast keeps within the bounds and makes NaN 0.
    (amount * 1e6).round() as u64
}

#[cfg(test)]
mod tests;
