//! opencode's messages and parts, told as core's events, each thing once.

use std::collections::HashMap;

use kugetsu_core::agent::{AgentEvent, Usage};
use serde_json::Value;

use super::news::{MessageInfo, News, Part, Tokens};
use super::text::{cut, first_line};
use crate::quirks;

/// How long a tool's title or summary may be, in characters.
const LINE: usize = 160;

/// Turns what is told of one turn into events. What is told again, because it changed or because
/// the stream was opened anew, gives no second event.
#[derive(Debug)]
pub(crate) struct Translator {
    session: String,
    /// The messages that are looked at: the answers to ours. All, where ours is not known.
    ours: Option<String>,
    answers: HashMap<String, MessageInfo>,
    parts: HashMap<String, Seen>,
    /// The part that is being written, so that what is held back is told before what follows.
    writing: Option<String>,
    said: bool,
    rejected: Option<String>,
}

/// What was told of one part already.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    thought: bool,
    told: usize,
    started: bool,
    ended: bool,
}

impl Translator {
    /// For the answers to the message `ours` in `session`; to every message without `ours`.
    pub(crate) fn new(session: impl Into<String>, ours: Option<String>) -> Self {
        Self {
            session: session.into(),
            ours,
            answers: HashMap::new(),
            parts: HashMap::new(),
            writing: None,
            said: false,
            rejected: None,
        }
    }

    /// Whether the agent said or did anything.
    pub(crate) fn said_anything(&self) -> bool {
        self.said
    }

    /// Which tool was refused by an answer, which ends a turn without any sign of failure.
    pub(crate) fn rejected(&self) -> Option<&str> {
        self.rejected.as_deref()
    }

    /// The answer that came last, if there is one.
    pub(crate) fn last_answer(&self) -> Option<&MessageInfo> {
        self.answers.values().max_by(|a, b| a.id.cmp(&b.id))
    }

    /// What the news means.
    pub(crate) fn read(&mut self, news: &News) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        match news {
            News::Message { session, info } => self.message(session, info),
            News::Part { session, part } => self.part(session, part, &mut events),
            News::Delta { session, message, part, field, delta }
                if *session == self.session && field == "text" && self.is_answer(message) =>
            {
                self.delta(part, delta, &mut events);
            }
            _ => {}
        }
        events
    }

    /// What was held back for want of a line's end.
    pub(crate) fn flush(&mut self) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        self.end_writing(&mut events);
        events
    }

    fn message(&mut self, session: &str, info: &MessageInfo) {
        let is_ours = self.ours.is_none() || info.parent == self.ours;
        if session == self.session && info.role == "assistant" && is_ours {
            self.answers.insert(info.id.clone(), info.clone());
        }
    }

    /// `opencode run` tells parts without their messages, and only of answers.
    fn is_answer(&self, message: &str) -> bool {
        self.ours.is_none() || self.answers.contains_key(message)
    }

    fn part(&mut self, session: &str, part: &Part, events: &mut Vec<AgentEvent>) {
        let is_own = session == self.session;
        if is_own && !self.is_answer(&part.message) {
            return;
        }
        match part.kind.as_str() {
            // What a sub-agent says is for its own agent.
            "text" | "reasoning" if is_own && !part.synthetic => self.written(part, events),
            "tool" => {
                self.end_writing(events);
                self.tool(part, is_own, events);
            }
            "step-finish" => {
                self.end_writing(events);
                let seen = self.parts.entry(part.id.clone()).or_default();
                if !std::mem::replace(&mut seen.ended, true) {
                    events.push(AgentEvent::Usage(usage(&part.tokens, part.cost)));
                }
            }
            _ => {}
        }
    }

    fn written(&mut self, part: &Part, events: &mut Vec<AgentEvent>) {
        if self.writing.as_ref().is_some_and(|writing| *writing != part.id) {
            self.end_writing(events);
        }
        let seen = self.parts.entry(part.id.clone()).or_default();
        seen.thought = part.kind == "reasoning";
        if part.text.len() >= seen.text.len() {
            seen.text.clone_from(&part.text);
        }
        seen.ended |= part.time.end.is_some();
        self.writing = Some(part.id.clone());
        if seen.ended {
            self.end_writing(events);
        }
    }

    fn delta(&mut self, part: &str, delta: &str, events: &mut Vec<AgentEvent>) {
        let seen = self.parts.entry(part.to_owned()).or_default();
        if seen.ended {
            return;
        }
        seen.text.push_str(delta);
        if let Some(end) = seen.text.rfind('\n') {
            self.said |= seen.tell(end + 1, events);
        }
        self.writing = Some(part.to_owned());
    }

    fn end_writing(&mut self, events: &mut Vec<AgentEvent>) {
        if let Some(seen) = self.writing.take().and_then(|part| self.parts.get_mut(&part)) {
            self.said |= seen.tell(seen.text.len(), events);
        }
    }

    fn tool(&mut self, part: &Part, is_own: bool, events: &mut Vec<AgentEvent>) {
        let state = &part.state;
        let ended = matches!(state.status.as_str(), "completed" | "error");
        if state.status == "pending" {
            return;
        }
        let seen = self.parts.entry(part.id.clone()).or_default();
        if !std::mem::replace(&mut seen.started, true) {
            self.said |= is_own;
            events.push(AgentEvent::ToolStarted {
                call: part.call.clone(),
                tool: tool_name(part),
                title: title(part),
            });
        }
        if ended && !std::mem::replace(&mut seen.ended, true) {
            if is_own && state.error.contains(quirks::REJECTED) {
                self.rejected = Some(format!("{} ({})", tool_name(part), title(part)));
            }
            let (ok, summary) = outcome(part);
            events.push(AgentEvent::ToolEnded {
                call: part.call.clone(),
                tool: tool_name(part),
                ok,
                summary,
            });
        }
    }
}

impl Seen {
    /// Tells the text up to this place, and whether that was anything.
    fn tell(&mut self, end: usize, events: &mut Vec<AgentEvent>) -> bool {
        let Some(text) = self.text.get(self.told..end) else { return false };
        let (text, says) = (text.to_owned(), !text.trim().is_empty());
        if text.is_empty() {
            return false;
        }
        self.told = end;
        events.push(if self.thought {
            AgentEvent::Thought { text }
        } else {
            AgentEvent::Message { text }
        });
        // A thought alone is no answer.
        says && !self.thought
    }
}

/// What the tool is used for: opencode's own words for it, or what it was given.
fn title(part: &Part) -> String {
    let input = &part.state.input;
    let telling = [
        &input.description,
        &input.command,
        &input.file_path,
        &input.pattern,
        &input.path,
        &input.url,
        &input.query,
        &input.prompt,
    ];
    let given = || telling.into_iter().find_map(Value::as_str);
    let title = match part.state.title.trim() {
        "" => given().unwrap_or_default(),
        title => title,
    };
    first_line(title, LINE)
}

/// The tool that the agent wanted to use.
fn tool_name(part: &Part) -> String {
    let wanted = part.state.input.tool.as_str();
    match wanted {
        Some(wanted) if part.tool == quirks::INVALID_TOOL => wanted.to_owned(),
        _ => part.tool.clone(),
    }
}

fn outcome(part: &Part) -> (bool, String) {
    let state = &part.state;
    if state.status == "error" {
        return (false, first_line(&state.error, LINE));
    }
    if part.tool == quirks::INVALID_TOOL {
        return (false, first_line(&state.output, LINE));
    }
    let exit = state.metadata.exit.as_i64();
    let said: Vec<&str> =
        state.output.lines().map(str::trim).filter(|line| !line.is_empty()).take(2).collect();
    (exit.is_none_or(|code| code == 0), cut(&said.join(" · "), LINE))
}

fn usage(tokens: &Tokens, cost: f64) -> Usage {
    let mut usage = Usage::tokens(count(tokens.input), count(tokens.output));
    usage.reasoning = count(tokens.reasoning);
    usage.cache_read = count(tokens.cache.read);
    usage.cache_write = count(tokens.cache.write);
    usage.cost_micros = count(cost * 1e6);
    usage
}

/// JSON knows no whole numbers, and some providers tell less than nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(number: f64) -> u64 {
    // The cast keeps within the bounds and makes NaN 0.
    number.round() as u64
}
