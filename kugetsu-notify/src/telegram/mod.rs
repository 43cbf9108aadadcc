//! Telegram: notices into chats, and what chats ask.
//!
//! A [`Bot`] talks to the Bot API. [`TelegramNotifier`] writes notices into chats with it, and
//! [`Bot::updates`] waits for what is written to the bot. Of that, [`Update::asked`] lets through
//! only what a person on the list of allowed chats has typed in a private chat; whatever else comes
//! is to be answered with nothing at all.

mod api;
mod asked;
mod bot;
mod notifier;
mod text;

pub use asked::{Asked, Command, Update};
pub use bot::{Bot, TelegramError};
pub use notifier::TelegramNotifier;

/// The number of a chat. A private chat has the number of the person in it; those of groups are
/// negative.
///
/// Exhaustive: it is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId(pub i64);

impl std::fmt::Display for ChatId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
