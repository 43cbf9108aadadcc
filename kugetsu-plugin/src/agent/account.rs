//! What is known of a turn by what the program has written, and how it ended by that.

use std::io;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentEvent, Conversation, Finish};
use kugetsu_core::error::Failure;
use kugetsu_core::ids::{AgentId, AgentSessionId};

use tokio::io::AsyncRead;

use super::config::Output;
use super::lines::{LONGEST, Lines};

/// The longest reason that a program's own failure may have, in characters.
const REASON: usize = 2000;

/// What is known of a turn.
#[derive(Debug)]
pub(super) struct Account {
    who: AgentId,
    conversation: Conversation,
    /// The turn's session: at first the one that was proposed to the program, or that it resumes.
    session: AgentSessionId,
    /// Whether the session was told, so that it cannot be another any more.
    is_told: bool,
    /// Whether the program has said or done anything.
    acted: bool,
    /// How the turn ended, by the program's own word.
    finish: Option<Finish>,
    /// What it has written that it must not.
    fault: Option<Failure>,
    lines: u64,
}

/// How the program ended: its status as the guard tells it, and its last words to people.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` if that is not known.
    pub(super) code: Option<i32>,
    pub(super) last_words: String,
}

/// What a program says with its status, if it does not say it in words.
mod status {
    /// It has no such session.
    pub(super) const NO_SESSION: i32 = 66;
    /// It was used wrongly, was given what it cannot use, may not do it, or is set up wrongly; it
    /// cannot be started, or is not there.
    pub(super) const FOR_GOOD: [i32; 6] = [64, 65, 77, 78, 126, 127];
    /// From here on, a signal has ended it.
    pub(super) const SIGNAL: i32 = 128;
}

impl Account {
    pub(super) fn new(who: AgentId, conversation: Conversation, session: AgentSessionId) -> Self {
        Self {
            who,
            conversation,
            session,
            is_told: false,
            acted: false,
            finish: None,
            fault: None,
            lines: 0,
        }
    }

    /// The session, to be told before anything else is; `None` if it was told already.
    pub(super) fn begin(&mut self) -> Option<AgentEvent> {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        is_first.then(|| AgentEvent::SessionStarted { session: self.session.clone() })
    }

    /// What the program writes next; `None` at the end. Cancelling is safe.
    pub(super) async fn hear(
        &mut self,
        lines: &mut Lines<impl AsyncRead + Unpin>,
        output: Output,
    ) -> Option<Vec<AgentEvent>> {
        // A pipe that cannot be read is at its end.
        if self.finish.is_some() {
            // Nothing comes after the end, however it looks.
            return lines.piece().await.ok().flatten().map(|_| Vec::new());
        }
        if output == Output::Text {
            return lines.piece().await.ok().flatten().map(|piece| self.text(piece));
        }
        let Ok(line) = lines.line().await.ok()? else {
            self.lines += 1;
            self.blame(&format!("is longer than {LONGEST} bytes"));
            return None;
        };
        line.map(|line| self.line(&line))
    }

    /// What a piece of plain text means.
    fn text(&mut self, text: String) -> Vec<AgentEvent> {
        self.acted |= !text.trim().is_empty();
        self.begin().into_iter().chain([AgentEvent::Message { text }]).collect()
    }

    /// What a line of JSON means.
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        self.lines += 1;
        let line = line.trim_ascii();
        // Nothing comes after the end.
        if line.is_empty() || self.finish.is_some() {
            return Vec::new();
        }
        if !line.starts_with(b"{") {
            // Programs that wrap others cannot always keep them quiet. It is told, and proves nothing.
            let text = String::from_utf8_lossy(line).into_owned() + "\n";
            return self.begin().into_iter().chain([AgentEvent::Message { text }]).collect();
        }
        match serde_json::from_slice(line) {
            Ok(event) => self.event(event),
            Err(error) => self.blame(&format!("is no event: {error}")),
        }
    }

    /// The session cannot be found again, so that going on would be in vain.
    pub(super) fn cannot_record(&mut self, error: &io::Error) {
        let reason = format!("{} has a session that cannot be recorded: {error}", self.who);
        self.fault.get_or_insert_with(|| Failure::passing(reason));
    }

    /// How long the program may live on, if nothing that it might still write matters.
    pub(super) fn lingers(&self, linger: Duration) -> Option<Duration> {
        match (&self.fault, &self.finish) {
            (Some(_), _) => Some(Duration::ZERO),
            (None, Some(_)) => Some(linger),
            (None, None) => None,
        }
    }

    fn event(&mut self, event: AgentEvent) -> Vec<AgentEvent> {
        match event {
            AgentEvent::SessionStarted { session } => return self.started(session),
            AgentEvent::Finished(finish) => {
                self.finish = Some(finish);
                return self.begin().into_iter().collect();
            }
            _ => {}
        }
        self.acted |= match &event {
            AgentEvent::Message { text } => !text.trim().is_empty(),
            AgentEvent::ToolEnded { .. } => true,
            _ => false,
        };
        let event = match event {
            // It reads nothing any more, so that it gets no answer.
            AgentEvent::Asked { question, text, .. } => {
                AgentEvent::Asked { question, text, refused: true }
            }
            other => other,
        };
        self.begin().into_iter().chain([event]).collect()
    }

    /// The program names its session.
    fn started(&mut self, session: AgentSessionId) -> Vec<AgentEvent> {
        if session == self.session {
            return self.begin().into_iter().collect();
        }
        if self.is_told {
            let wrong = format!("begins the session {session} in the session {}", self.session);
            return self.blame(&wrong);
        }
        if matches!(&self.conversation, Conversation::Fork(origin) if *origin == session) {
            return self.blame("goes on with the session that it was to make a copy of");
        }
        self.session = session;
        self.begin().into_iter().collect()
    }

    fn blame(&mut self, what: &str) -> Vec<AgentEvent> {
        let reason = format!("line {} of what {} writes {what}", self.lines, self.who);
        self.fault.get_or_insert_with(|| Failure::fatal(reason));
        Vec::new()
    }

    /// Whether the program says that it does not have the session it was to go on with.
    pub(super) fn has_no_session(&self, code: Option<i32>) -> Option<&AgentSessionId> {
        let (Some(status::NO_SESSION), false, None) = (code, self.acted, &self.finish) else {
            return None;
        };
        match &self.conversation {
            Conversation::Resume(session) | Conversation::Fork(session) => Some(session),
            _ => None,
        }
    }

    /// How the turn ended: by the program's own word if it has given one, else by its status; and
    /// in any case by what it has said and done.
    pub(super) fn end(self, ended: &Ended) -> Result<Finish, AgentError> {
        let failed = |failure| Ok(Finish::Failed { failure });
        if let Some(session) = self.has_no_session(ended.code) {
            return Err(AgentError::UnknownSession { session: session.clone() });
        }
        if let Some(fault) = self.fault {
            return failed(fault);
        }
        let who = &self.who;
        let words = |how: &str| match ended.last_words.as_str() {
            "" => format!("{who} {how}"),
            words => format!("{who} {how}: {words}"),
        };
        let died = |how: String| {
            let detail = match ended.last_words.as_str() {
                "" => how,
                words => format!("{how}: {words}"),
            };
            Err(AgentError::Died { who: who.to_string(), detail })
        };
        match (self.finish, ended.code) {
            (Some(Finish::Done), _) | (None, Some(0)) if self.acted => Ok(Finish::Done),
            (Some(Finish::Done), _) | (None, Some(0)) => failed(Failure::passing(words(
                "ended its turn without having said or done anything",
            ))),
            (Some(Finish::Failed { mut failure }), _) => {
                if let Some((cut, _)) = failure.reason.char_indices().nth(REASON) {
                    failure.reason.truncate(cut);
                }
                failed(failure)
            }
            (Some(_), _) => failed(Failure::passing(words("stopped by itself"))),
            (None, Some(code)) if code > status::SIGNAL => {
                died(format!("signal {}", code - status::SIGNAL))
            }
            (None, Some(code)) if status::FOR_GOOD.contains(&code) => {
                failed(Failure::fatal(words(&format!("ended with status {code}"))))
            }
            (None, Some(code)) => {
                failed(Failure::passing(words(&format!("ended with status {code}"))))
            }
            (None, None) => died("its guard is gone".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> AgentSessionId {
        AgentSessionId::new(name).unwrap()
    }

    fn account(conversation: Conversation) -> Account {
        let of = match &conversation {
            Conversation::Resume(id) => id.clone(),
            _ => session("proposed"),
        };
        Account::new(AgentId::new("command:mine").unwrap(), conversation, of)
    }

    /// What a program that writes these lines has told, and how its turn ended.
    fn told(conversation: Conversation, lines: &[&str], code: i32) -> (String, String) {
        let mut account = account(conversation);
        let mut events = Vec::new();
        for line in lines {
            events.extend(account.line(line.as_bytes()));
        }
        let told = events.iter().map(|event| match event {
            AgentEvent::SessionStarted { session } => format!("session {session}"),
            AgentEvent::Message { text } => format!("{text:?}"),
            AgentEvent::Asked { refused: true, .. } => "refused".into(),
            AgentEvent::Unknown(unknown) => format!("unknown {}", unknown.kind),
            other => format!("{other:?}"),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let ended = Ended { code: Some(code), last_words: "oh".into() };
        let end = match account.end(&ended) {
            Ok(Finish::Failed { failure }) => format!("{:?}: {failure}", failure.retry),
            Ok(finish) => format!("{finish:?}"),
            Err(error) => format!("error: {error}"),
        };
        (told, end)
    }

    const ONE: &str = r#"{"type":"message","data":{"text":"one"}}"#;
    const OWN: &str = r#"{"type":"session_started","data":{"session":"own"}}"#;
    const DONE: &str = r#"{"type":"finished","data":{"how":"done"}}"#;

    #[test]
    fn a_session_of_the_programs_own_is_told_first_or_not_at_all() {
        let fork = Conversation::Fork(session("own"));
        let resume = Conversation::Resume(session("own"));
        let cases = [
            (Conversation::Fresh, &[ONE][..], r#"session proposed, "one""#, "Done"),
            (Conversation::Fresh, &[OWN, ONE, OWN], r#"session own, "one""#, "Done"),
            (Conversation::Fresh, &[ONE, OWN], r#"session proposed, "one""#, "line 2"),
            (resume.clone(), &[ONE], r#"session own, "one""#, "Done"),
            (resume, &[OWN, ONE], r#"session own, "one""#, "Done"),
            (Conversation::Resume(session("x")), &[ONE, OWN], r#"session x, "one""#, "line 2"),
            (fork, &[OWN], "", "line 1"),
        ];
        for (conversation, lines, wanted, end) in cases {
            let (told, ended) = self::told(conversation.clone(), lines, 0);
            assert_eq!(told, wanted, "{conversation:?} {lines:?}");
            assert!(ended.contains(end), "{conversation:?} {lines:?}: {ended}");
        }
    }

    #[test]
    fn what_is_no_event_is_said_or_ends_the_turn() {
        let other = r#"{"type":"weather","data":{"sun":1.5}}"#;
        let asked = r#"{"type":"asked","data":{"question":"1","text":"May I?","refused":false}}"#;
        for (line, wanted) in [
            ("warning: old", r#"session proposed, "warning: old\n""#),
            ("null", r#"session proposed, "null\n""#),
            ("", ""),
            (" \r\n", ""),
            (other, "session proposed, unknown weather"),
            (asked, "session proposed, refused"),
        ] {
            let (told, ended) = self::told(Conversation::Fresh, &[line], 0);
            assert_eq!(told, wanted);
            // None of it is work.
            assert!(ended.contains("without having said or done anything"), "{line}: {ended}");
        }
        for line in ["{", "{}", r#"{"type":"message","data":{}}"#, r#"{"type":1}"#] {
            let (told, ended) = self::told(Conversation::Fresh, &[line, ONE], 0);
            assert_eq!(told, r#"session proposed, "one""#);
            assert!(ended.starts_with("Never: line 1 of what command:mine writes"), "{ended}");
        }
    }

    #[test]
    fn a_turn_ends_by_the_programs_word_and_else_by_its_status() {
        let failed = r#"{"type":"finished","data":{"how":"failed","failure":{"reason":"no","retry":{"retry":"never"}}}}"#;
        let stopped = r#"{"type":"finished","data":{"how":"stopped"}}"#;
        for (lines, code, wanted) in [
            (&[ONE, DONE][..], 0, "Done"),
            (&[ONE, DONE, "{", ONE], 1, "Done"),
            (
                &[DONE],
                0,
                "Later: command:mine ended its turn without having said or done anything: oh",
            ),
            (&[], 0, "Later: command:mine ended its turn without having said or done anything: oh"),
            (&[failed], 0, "Never: no"),
            (&[ONE, stopped], 0, "Later: command:mine stopped by itself: oh"),
            (&[ONE], 1, "Later: command:mine ended with status 1: oh"),
            (&[ONE], 75, "Later: command:mine ended with status 75: oh"),
            (&[ONE], 78, "Never: command:mine ended with status 78: oh"),
            (&[], 127, "Never: command:mine ended with status 127: oh"),
            (&[ONE], 66, "Later: command:mine ended with status 66: oh"),
            (&[ONE], 137, "error: command:mine ended before its turn did: signal 9: oh"),
        ] {
            let (_, ended) = self::told(Conversation::Fresh, lines, code);
            assert_eq!(ended, wanted, "{lines:?} {code}");
        }
        let (_, ended) = self::told(Conversation::Resume(session("own")), &[OWN], 66);
        assert_eq!(ended, "error: the agent has no session own");
    }
}
