use std::collections::BTreeSet;

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError};
use tokio::sync::Mutex;

use super::{Bot, ChatId, TelegramError};

/// Writes each notice into chats.
///
/// # Promises
///
/// * A notice is one message in each chat, as plain text. Telegram knows no keys: a notice that comes
///   again after a crash is written again. One that failed in some of the chats only is, while the
///   notifier lives, not written again into the others.
/// * A chat that refuses a message, say because it has blocked the bot, keeps the others from nothing.
#[derive(Debug)]
pub struct TelegramNotifier {
    name: String,
    bot: Bot,
    chats: BTreeSet<ChatId>,
    /// The last notice's key, and the chats that are done with it. Held while one is written, so that
    /// messages keep their order.
    last: Mutex<(String, BTreeSet<ChatId>)>,
}

impl TelegramNotifier {
    /// A sink of this name that writes into these chats.
    pub fn new(name: impl Into<String>, bot: Bot, chats: impl IntoIterator<Item = ChatId>) -> Self {
        let chats = chats.into_iter().collect();
        Self { name: name.into(), bot, chats, last: Mutex::default() }
    }

    /// The chats into which it writes.
    pub fn chats(&self) -> &BTreeSet<ChatId> {
        &self.chats
    }

    /// Writes this notice into these chats instead of its own.
    pub async fn write(
        &self,
        notice: &Notice,
        chats: &BTreeSet<ChatId>,
    ) -> Result<(), NotifyError> {
        let mut last = self.last.lock().await;
        if last.0 != notice.key {
            *last = (notice.key.clone(), BTreeSet::new());
        }
        let (mut refused, mut failed) = (None, None);
        for chat in chats {
            if last.1.contains(chat) {
                continue;
            }
            match self.bot.send(*chat, &notice.text).await {
                Ok(()) => {
                    last.1.insert(*chat);
                }
                Err(TelegramError::Refused { why }) => {
                    last.1.insert(*chat);
                    refused.get_or_insert(format!("chat {chat}: {why}"));
                }
                Err(other) => failed = failed.or(Some(other)),
            }
        }
        match (failed, refused) {
            (Some(error), _) => Err(self.fault(error)),
            (None, Some(why)) => Err(NotifyError::Refused { who: self.name.clone(), why }),
            (None, None) => Ok(()),
        }
    }

    fn fault(&self, error: TelegramError) -> NotifyError {
        NotifyError::Backend {
            who: self.name.clone(),
            operation: "write into a chat".to_owned(),
            retry: error.retry(),
            source: error.into(),
        }
    }
}

#[async_trait]
impl Notifier for TelegramNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        self.write(notice, &self.chats).await
    }
}
