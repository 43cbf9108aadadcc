use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde_json::Value;

use super::ChatId;
use super::api::Message;

/// The longest message that is listened to, in characters. Telegram itself sends none that is longer.
const LONGEST: usize = 4096;

/// Fields of messages that their sender has not typed, here and now.
const SECOND_HAND: [&str; 9] = [
    "forward_origin",
    "forward_from",
    "forward_from_chat",
    "forward_sender_name",
    "forward_date",
    "is_automatic_forward",
    "edit_date",
    "sender_chat",
    "via_bot",
];

/// Something that has come to the bot.
#[derive(Debug, Clone)]
pub struct Update {
    /// Its number. Numbers only grow.
    pub id: i64,
    document: Value,
}

/// What somebody who may ask has asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asked {
    /// Where the answer belongs.
    pub chat: ChatId,
    /// What is asked.
    pub command: Command,
}

/// What a chat may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `/status`: what the agents are doing.
    Status,
    /// `/queue`: what is queued.
    Queue,
    /// `/delegate …`: have this done.
    Delegate(String),
    /// `/help`, `/start`, a command that there is not, or one without what belongs to it.
    Help,
    /// Anything else: something to say to the PM.
    Plain(String),
}

impl Update {
    /// An update as the Bot API sends it; `None` if it has no number.
    pub(super) fn of(document: Value) -> Option<Self> {
        let id = document.get("update_id")?.as_i64()?;
        Some(Self { id, document })
    }

    /// What is asked, if somebody may ask it: a person whose number is on the list, with a new message
    /// that was typed in the private chat with the bot. Strangers, groups, channels, bots, messages
    /// that were forwarded or edited, what has no text and what is very long are `None`, and get no
    /// answer. Names do not count: anybody can take one.
    pub fn asked(&self, allowed: &BTreeSet<ChatId>) -> Option<Asked> {
        let message = Message::deserialize(self.document.get("message")?).ok()?;
        let from = message.from?;
        let chat = ChatId(message.chat.id);
        let is_private = message.chat.kind == "private" && from.id == message.chat.id;
        let is_first_hand = SECOND_HAND.iter().all(|field| !message.rest.contains_key(*field));
        if !is_private || from.is_bot || !is_first_hand || !allowed.contains(&chat) {
            return None;
        }
        let text = message.text?;
        if text.chars().count() > LONGEST {
            return None;
        }
        Some(Asked { chat, command: Command::parse(&text)? })
    }
}

impl Command {
    /// Reads a message; `None` if there is nothing in it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let Some(command) = text.strip_prefix('/') else {
            return Some(Self::Plain(text.to_owned()));
        };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        // In some clients a command is followed by the bot's name.
        let (word, _) = word.split_once('@').unwrap_or((word, ""));
        let rest = rest.trim();
        Some(match word.to_ascii_lowercase().as_str() {
            "status" => Self::Status,
            "queue" => Self::Queue,
            "delegate" if !rest.is_empty() => Self::Delegate(rest.to_owned()),
            _ => Self::Help,
        })
    }
}
