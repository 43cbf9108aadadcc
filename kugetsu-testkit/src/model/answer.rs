use super::call::Call;
use super::conversation::{Conversation, Fnv1a};
use super::record::Ended;
use super::script::{Directive, Failure, Step};
use std::time::Duration;

/// What goes back to the caller once the pauses before it are over.
#[derive(Debug)]
pub(super) enum Answer {
    /// A completion.
    Completion(Completion),
    /// An HTTP error.
    Refusal { status: u16, retry_after: Option<String>, message: String },
    /// Never anything.
    Silence,
    /// A reset of the connection.
    Reset,
}

#[derive(Debug)]
pub(super) struct Completion {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) reasoning: String,
    pub(super) text: Text,
    pub(super) calls: Vec<Call>,
    pub(super) finish: String,
    pub(super) usage: (u64, u64),
    pub(super) ending: Ending,
}

#[derive(Debug)]
pub(super) enum Text {
    Whole(String),
    /// Words with a rest after each.
    Slow {
        words: usize,
        every: Duration,
    },
    /// So many bytes, made as they are sent.
    Flood {
        bytes: usize,
    },
}

/// How a completion ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a finish reason and the usage.
    Proper,
    /// In order, but without either.
    Unfinished,
    /// Not at all.
    Never,
    /// The connection breaks.
    Cut,
    /// What was sent is not JSON.
    Garbage,
}

/// Turns a step into an answer. Nothing here waits or counts.
pub(super) fn answer(step: Step, asked: &Conversation, bytes: usize) -> Answer {
    let mut calls = Vec::new();
    let mut reasoning = String::new();
    let mut ending = Ending::Proper;
    let mut half = |how| {
        ending = how;
        Text::Whole("Half an answ".to_owned())
    };
    let text = match step.directive {
        Directive::Say(text) => Text::Whole(text),
        Directive::Call { lead, calls: called } => {
            calls = called;
            Text::Whole(lead)
        }
        Directive::Echo => {
            let prompt = asked.prompt().as_bytes();
            Text::Whole(format!("bytes={} fnv1a={:016x}", prompt.len(), Fnv1a::of(prompt)))
        }
        Directive::History => Text::Whole(asked.history()),
        Directive::Think(thought) => {
            reasoning = thought;
            Text::Whole(String::new())
        }
        Directive::Stream { words, every } => Text::Slow { words, every },
        Directive::Flood { bytes } => Text::Flood { bytes },
        Directive::Unfinished => half(Ending::Unfinished),
        Directive::Fail { failure, .. } => match failure {
            Failure::Http { status, retry_after } => {
                let message = format!("scripted error {status}");
                return Answer::Refusal { status, retry_after, message };
            }
            Failure::Hang => return Answer::Silence,
            Failure::Reset => return Answer::Reset,
            Failure::HangMid => half(Ending::Never),
            Failure::Cut => half(Ending::Cut),
            Failure::Garbage => half(Ending::Garbage),
        },
        Directive::Wrong(why) => {
            let message = format!("kugetsu-model: {}", why.0);
            return Answer::Refusal { status: 400, retry_after: None, message };
        }
    };
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    let usage = (bytes as u64 / 4 + 1, text.len() as u64 / 4 + 1);
    Answer::Completion(Completion {
        id: format!("{:016x}", asked.fingerprint()),
        model: asked.model.clone(),
        reasoning,
        text,
        calls,
        finish: step.modifiers.finish.unwrap_or_else(|| finish.to_owned()),
        usage: step.modifiers.usage.unwrap_or(usage),
        ending,
    })
}

impl Completion {
    /// How a request ends that is answered with all of this.
    pub(super) fn ended(&self) -> Ended {
        if self.ending == Ending::Proper { Ended::Answered } else { Ended::Broken }
    }
}

impl Text {
    fn len(&self) -> usize {
        match self {
            Self::Whole(text) => text.len(),
            Self::Slow { words, .. } => words * 6,
            Self::Flood { bytes } => *bytes,
        }
    }
}
