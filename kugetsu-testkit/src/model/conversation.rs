use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The agent's own instructions.
    #[serde(alias = "developer")]
    System,
    /// Whoever prompts the agent.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
    /// A role that this model does not know.
    #[serde(other)]
    Other,
}

/// One message of the conversation that came with a request.
///
/// Made by reading a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// Its text, byte for byte. Several text parts are joined by newlines; other parts are left out.
    #[serde(default, rename = "content", deserialize_with = "text")]
    pub text: String,
}

/// A request for a completion, as far as the model needs to know it.
#[derive(Debug, Deserialize)]
pub(super) struct Conversation {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default, deserialize_with = "shared")]
    pub(super) messages: Arc<[Message]>,
}

impl Conversation {
    /// The last user message, or nothing.
    pub(super) fn prompt(&self) -> &str {
        prompt(&self.messages)
    }

    /// How many times the model has answered the last user message.
    pub(super) fn answers(&self) -> usize {
        self.messages
            .iter()
            .rev()
            .take_while(|message| message.role != Role::User)
            .filter(|message| message.role == Role::Assistant)
            .count()
    }

    pub(super) fn count(&self, role: Role) -> usize {
        self.messages.iter().filter(|message| message.role == role).count()
    }

    /// Whether opencode asks for the title of a session rather than for a turn.
    pub(super) fn wants_title(&self) -> bool {
        self.messages.iter().any(|message| match message.role {
            Role::System => message.text.contains("You are a title generator"),
            Role::User => message.text.starts_with("Generate a title for this conversation"),
            _ => false,
        })
    }

    /// What the `history` directive answers.
    pub(super) fn history(&self) -> String {
        let said = |role| {
            self.messages
                .iter()
                .filter(move |message| message.role == role)
                .map(|message| opening(&message.text))
        };
        let users: Vec<String> = said(Role::User).collect();
        let earlier = users.split_last().map_or(&[][..], |(_, earlier)| earlier);
        format!(
            "users={} assistants={} tools={} first={} earlier={}",
            users.len(),
            self.count(Role::Assistant),
            self.count(Role::Tool),
            users.first().map_or("", String::as_str),
            earlier.join(" | "),
        )
    }

    /// A number that is the same for the same conversation, and another for any other.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv1a::default();
        for message in self.messages.iter() {
            hash.write(&[message.role as u8]);
            hash.write(message.text.as_bytes());
        }
        hash.finish()
    }
}

pub(super) fn prompt(messages: &[Message]) -> &str {
    let last = messages.iter().rev().find(|message| message.role == Role::User);
    last.map_or("", |message| &message.text)
}

/// 64-bit FNV-1a: published, tiny, and the same on every machine.
pub(super) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::default();
        hash.write(bytes);
        hash.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The first 60 characters, on one line.
fn opening(text: &str) -> String {
    text.trim().chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Message]>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::from)
}

/// Reads a message's content: a string, a list of parts, or null.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Content {
        Text(String),
        Parts(Vec<Part>),
        Nothing(()),
    }
    #[derive(Deserialize)]
    struct Part {
        text: Option<String>,
    }
    Ok(match Content::deserialize(deserializer)? {
        Content::Text(text) => text,
        Content::Parts(parts) => {
            parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n")
        }
        Content::Nothing(()) => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::Fnv1a;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(Fnv1a::of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv1a::of(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
