use super::answer::{Answer, Ending, Text, answer};
use super::conversation::{Conversation, Message};
use super::script::Pause;
use super::stage::Stage;
use std::sync::Arc;
use std::time::Duration;

/// The model without its server, for agents that live in the test's own process.
#[derive(Debug)]
pub(crate) struct Voice {
    stage: Arc<Stage>,
}

/// What the model says, when asked once.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer {
        thought: String,
        /// Pieces of text, and how long it takes until the next.
        text: Vec<(String, Duration)>,
        /// Tools and their arguments in JSON.
        calls: Vec<(String, String)>,
        usage: (u64, u64),
        /// `stop`, `tool_calls`, or why the answer is not all that it should be.
        finish: String,
    },
    Refusal {
        status: u16,
        retry_after: Option<String>,
        message: String,
    },
    /// So much, and then nothing until the caller goes away.
    Silence(String),
    Broken,
}

impl Voice {
    pub(crate) fn new() -> Self {
        Self { stage: Stage::new() }
    }

    pub(crate) fn open(&self, gate: &str) {
        self.stage.open(gate);
    }

    /// Answers the conversation, once the gates on the way to the answer are open.
    pub(crate) async fn answer(&self, session: &str, messages: &[Message]) -> Reply {
        let bytes = messages.iter().map(|message| message.text.len()).sum();
        let asked =
            Conversation { model: String::new(), stream: true, messages: Arc::from(messages) };
        let step = self.stage.choose(&asked, Some(session));
        for pause in &step.modifiers.before {
            match pause {
                Pause::Gate(gate) => self.stage.pass(gate).await,
                Pause::Sleep(time) => tokio::time::sleep(*time).await,
            }
        }
        match answer(step, &asked, bytes) {
            Answer::Completion(completion) => match completion.ending {
                Ending::Proper => Reply::Answer {
                    thought: completion.reasoning,
                    text: pieces(completion.text),
                    calls: completion.calls.into_iter().map(|c| (c.tool, c.arguments)).collect(),
                    usage: completion.usage,
                    finish: completion.finish,
                },
                Ending::Never => Reply::Silence(
                    pieces(completion.text).into_iter().map(|(text, _)| text).collect(),
                ),
                Ending::Unfinished | Ending::Cut | Ending::Garbage => Reply::Broken,
            },
            Answer::Refusal { status, retry_after, message } => {
                Reply::Refusal { status, retry_after, message }
            }
            Answer::Silence => Reply::Silence(String::new()),
            Answer::Reset => Reply::Broken,
        }
    }
}

fn pieces(text: Text) -> Vec<(String, Duration)> {
    match text {
        Text::Whole(text) => vec![(text, Duration::ZERO)],
        Text::Slow { words, every } => {
            (0..words).map(|number| (format!("word{number} "), every)).collect()
        }
        Text::Flood { bytes } => {
            vec![("flood ".chars().cycle().take(bytes).collect(), Duration::ZERO)]
        }
    }
}
