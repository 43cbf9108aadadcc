//! Retelling what happens to one task, in lines for people.

use std::collections::HashMap;

use kugetsu_core::{AgentEvent, Event, Happening, Timestamp, Usage};

use super::escape;

/// What kind of line it is, which decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voice {
    /// kugetsu's own.
    Kugetsu,
    /// What the agent says.
    Says,
    /// What it thinks.
    Thinks,
    /// What it did.
    Did,
    /// What it did without success, or was refused.
    Failed,
}

/// A line, with nothing in it that acts on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) voice: Voice,
    /// A word in front, such as the tool's name.
    pub(crate) label: String,
    pub(crate) text: String,
}

/// What was heard of one task so far.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    /// Text of the agent without an end of its line yet.
    held: Option<(Voice, String, Timestamp)>,
    /// Calls that go on: the tool and what it is used for.
    calls: HashMap<String, String>,
    /// What it is doing.
    pub(crate) doing: String,
    pub(crate) usage: Usage,
    /// Where it works.
    pub(crate) worktree: Option<String>,
    /// The agent's id of the session.
    pub(crate) session: Option<String>,
}

/// The longest text held back for its line's end.
const HELD: usize = 2000;
/// The longest line about a tool, in characters.
const TOOL: usize = 160;

impl Teller {
    /// What there is to tell now that this has happened.
    pub(crate) fn hear(&mut self, event: &Event) -> Vec<Line> {
        let at = event.at;
        let own = |label: &str, text: String| {
            vec![Line { at, voice: Voice::Kugetsu, label: label.into(), text: escape::line(&text) }]
        };
        match &event.what {
            Happening::WorktreeReady { branch, path, created } => {
                self.worktree = Some(path.clone());
                self.doing = "getting a session".into();
                let made = if *created { "new" } else { "as it was" };
                own("worktree", format!("{branch} ({made})"))
            }
            Happening::SessionReady { session, how } => {
                self.session = Some(session.to_string());
                self.doing = "starting".into();
                own("session", format!("{session} ({how})"))
            }
            Happening::Agent(agent) => self.hear_agent(at, agent),
            Happening::CancelRequested => own("stop", "somebody wants it to stop".into()),
            Happening::Claimed { .. } => {
                self.doing = "getting a worktree".into();
                Vec::new()
            }
            Happening::Settled { .. } => self.rest(),
            _ => Vec::new(),
        }
    }

    /// What is still held back.
    pub(crate) fn rest(&mut self) -> Vec<Line> {
        let Some((voice, text, at)) = self.held.take() else { return Vec::new() };
        spoken(voice, &text, at)
    }

    /// The line that has begun and not ended yet.
    pub(crate) fn begun(&self) -> Option<String> {
        let (voice, text, at) = self.held.as_ref()?;
        let line = spoken(*voice, text, *at).pop()?;
        Some(format!("{} {}", line.label, line.text))
    }

    fn hear_agent(&mut self, at: Timestamp, event: &AgentEvent) -> Vec<Line> {
        let (voice, label, text) = match event {
            AgentEvent::Message { text } => return self.hold(at, Voice::Says, text),
            AgentEvent::Thought { text } => return self.hold(at, Voice::Thinks, text),
            AgentEvent::Usage(more) => {
                self.usage = self.usage.plus(*more);
                return Vec::new();
            }
            AgentEvent::ToolStarted { call, tool, title } => {
                self.doing = escape::cut(&escape::line(&format!("{tool} {title}")), TOOL);
                self.calls.insert(call.clone(), title.clone());
                return self.rest();
            }
            AgentEvent::ToolEnded { call, tool, ok, summary } => {
                self.doing = "thinking".into();
                let title = self.calls.remove(call).unwrap_or_default();
                let (voice, text) = match (ok, title.trim().is_empty()) {
                    (true, true) => (Voice::Did, summary.clone()),
                    (true, false) => (Voice::Did, title),
                    (false, true) => (Voice::Failed, format!("failed: {summary}")),
                    (false, false) => (Voice::Failed, format!("{title}: failed: {summary}")),
                };
                (voice, escape::line(tool), text)
            }
            AgentEvent::Waiting { reason } => {
                self.doing = escape::cut(&escape::line(&format!("waits: {reason}")), TOOL);
                (Voice::Kugetsu, "waits".into(), reason.clone())
            }
            AgentEvent::Asked { text, refused, .. } => {
                let refused = if *refused { " (refused: nobody may answer)" } else { "" };
                (Voice::Failed, "asks".into(), format!("{text}{refused}"))
            }
            _ => return self.rest(),
        };
        let mut lines = self.rest();
        let text = escape::cut(escape::line(&text).trim(), TOOL);
        lines.push(Line { at, voice, label, text });
        lines
    }

    fn hold(&mut self, at: Timestamp, voice: Voice, piece: &str) -> Vec<Line> {
        let mut lines = Vec::new();
        if self.held.as_ref().is_some_and(|(held, ..)| *held != voice) {
            lines = self.rest();
        }
        self.doing = if voice == Voice::Says { "speaking" } else { "thinking" }.into();
        let (_, text, since) = self.held.get_or_insert((voice, String::new(), at));
        text.push_str(piece);
        let since = *since;
        if let Some(end) = text.rfind('\n') {
            let ended: String = text.drain(..=end).collect();
            lines.extend(spoken(voice, &ended, since));
        }
        if text.len() > HELD {
            lines.extend(self.rest());
        }
        lines
    }
}

fn spoken(voice: Voice, text: &str, at: Timestamp) -> Vec<Line> {
    let label = if voice == Voice::Thinks { "thinks" } else { "says" };
    escape::text(text)
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .map(|line| Line { at, voice, label: label.into(), text: line.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Teller, Voice};
    use kugetsu_core::{AgentEvent, Chance, Event, Happening, TaskId, Timestamp, Usage};

    #[derive(Debug)]
    struct Same;

    impl Chance for Same {
        fn bytes(&self) -> [u8; 16] {
            [7; 16]
        }
    }

    fn told(events: Vec<AgentEvent>) -> Vec<(Voice, String)> {
        let now = Timestamp::from_millis(0);
        let task = TaskId::new(now, &Same);
        let mut teller = Teller::default();
        let mut lines = Vec::new();
        for event in events {
            lines.extend(teller.hear(&Event::new(now, task, None, Happening::Agent(event))));
        }
        lines.extend(teller.rest());
        lines
            .into_iter()
            .map(|line| (line.voice, format!("{} {}", line.label, line.text)))
            .collect()
    }

    fn says(text: &str) -> AgentEvent {
        AgentEvent::Message { text: text.into() }
    }

    #[test]
    fn pieces_of_a_sentence_are_told_as_one_line() {
        let lines = told(vec![says("I wri"), says("te it.\nThen "), says("I test.")]);
        let expected = ["says I write it.", "says Then I test."];
        assert_eq!(lines, expected.map(|line| (Voice::Says, line.to_owned())));
    }

    #[test]
    fn what_it_waits_for_is_told_in_one_line() {
        let reason = "the provider answered 503\nasking again".to_owned();
        let lines = told(vec![says("Let me"), AgentEvent::Waiting { reason }]);
        assert_eq!(lines[0], (Voice::Says, "says Let me".into()));
        let expected = "waits the provider answered 503 asking again".to_owned();
        assert_eq!(lines[1], (Voice::Kugetsu, expected));
    }

    #[test]
    fn a_tool_is_told_when_it_ends_and_after_what_was_said_before_it() {
        let started = AgentEvent::ToolStarted {
            call: "1".into(),
            tool: "bash".into(),
            title: "cargo test".into(),
        };
        let ended = AgentEvent::ToolEnded {
            call: "1".into(),
            tool: "bash".into(),
            ok: false,
            summary: "exit 101\nmore".into(),
        };
        let usage = AgentEvent::Usage(Usage::tokens(1, 2));
        let lines = told(vec![says("Testing"), started, usage, ended]);
        assert_eq!(lines[0], (Voice::Says, "says Testing".into()));
        assert_eq!(lines[1], (Voice::Failed, "bash cargo test: failed: exit 101 more".into()));
    }
}
