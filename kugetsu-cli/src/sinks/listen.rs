//! What is asked in Telegram chats, and done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kugetsu_core::{
    MemoStore, QueueError, Queued, Request, StoreError, Task, TaskId, TaskQuery, Timestamp,
};
use kugetsu_notify::{Asked, Bot, ChatId, Command, Update};
use kugetsu_queue::Engine;
use tokio_util::sync::CancellationToken;

use super::chat::asked;
use super::words;
use crate::references::mentioned;
use crate::settings::{Sink, Target};

/// How long one request for messages waits for some.
const WAIT: Duration = Duration::from_secs(50);

/// Telegram chooses any number for the next message when there was none for a week, so what was
/// heard last says nothing after a little less.
const WEEK: Duration = Duration::from_hours(6 * 24);

/// A server that answers sooner than this, and with nothing, is asked again only after a pause.
const BREATH: Duration = Duration::from_secs(1);

/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// Listens to one bot's chats.
///
/// How far it has come is remembered after a message was carried out, and what is delegated has the
/// message's number for its key, so that nothing is carried out twice.
pub(crate) struct Listener {
    name: String,
    bot: Bot,
    allowed: BTreeSet<ChatId>,
    engine: Engine,
    memos: Arc<dyn MemoStore>,
    default_server: Option<String>,
}

impl Listener {
    /// Listens to this bot in the name of the sink; `None` if nobody may ask it anything.
    pub(crate) fn new(
        sink: &Sink,
        bot: Bot,
        engine: Engine,
        memos: Arc<dyn MemoStore>,
        default_server: Option<&str>,
    ) -> Option<Self> {
        let Target::Telegram { chats, .. } = &sink.target else { return None };
        // Groups have negative numbers, and are told things only.
        let allowed: BTreeSet<_> = chats.iter().copied().filter(|chat| chat.0 > 0).collect();
        let name = sink.name.clone();
        let default_server = default_server.map(str::to_owned);
        (!allowed.is_empty()).then_some(Self { name, bot, allowed, engine, memos, default_server })
    }

    /// Carries out what is asked until `stop`, and says what goes wrong.
    pub(crate) async fn run(&self, stop: CancellationToken, say: impl Fn(&str) + Send + Sync) {
        let (mut pause, mut is_deaf) = (PAUSE.0, false);
        loop {
            let began = Instant::now();
            let heard = self.hear(&stop, &say).await;
            if matches!(heard, Ok(0)) && began.elapsed() < BREATH {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(BREATH) => {}
                }
            }
            if stop.is_cancelled() {
                return;
            }
            let Err(error) = heard else {
                if is_deaf {
                    say(&format!("{} is listened to again", self.name));
                }
                (pause, is_deaf) = (PAUSE.0, false);
                continue;
            };
            if !is_deaf {
                say(&format!("trouble: {} is not listened to: {error}", self.name));
                is_deaf = true;
            }
            let clock = self.engine.queue().clock();
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep_until(clock.tick().plus(pause)) => {}
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Carries out the next messages, and returns how many there were. Only the wait for them is given up when it is to stop: what is
    /// half done would be answered twice.
    async fn hear(
        &self,
        stop: &CancellationToken,
        say: &(impl Fn(&str) + Send + Sync),
    ) -> Result<usize, String> {
        let memo = format!("telegram/{}", self.name);
        let told = |error: StoreError| error.to_string();
        let now = self.engine.queue().clock().now();
        let last = self.memos.memo(&memo).await.map_err(told)?;
        let last = last.as_deref().and_then(|text| heard_last(text, now));
        let updates = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(0),
            updates = self.bot.updates(last, WAIT) => updates.map_err(|error| error.to_string())?,
        };
        let count = updates.len();
        for update in updates {
            if stop.is_cancelled() {
                return Ok(count);
            }
            if let Some(asked) = update.asked(&self.allowed) {
                let answer = self.answer(&update, &asked).await?;
                // Whoever asked can ask again; what was delegated is delegated.
                if let Err(error) = self.bot.send(asked.chat, &answer).await {
                    say(&format!("trouble: {} could not answer: {error}", self.name));
                }
            }
            let heard = format!("{} {}", update.id, now.as_millis());
            self.memos.set_memo(&memo, Some(&heard)).await.map_err(told)?;
        }
        Ok(count)
    }

    async fn answer(&self, update: &Update, asked: &Asked) -> Result<String, String> {
        Ok(match &asked.command {
            Command::Status => self.status().await.map_err(|error| error.to_string())?,
            Command::Queue => {
                let open = self.open().await.map_err(|error| error.to_string())?;
                words::queue(&open, self.engine.mask())
            }
            Command::Delegate(text) | Command::Plain(text) => {
                let text = text.replace('\0', "");
                let request = match asked.command {
                    Command::Delegate(_) => {
                        mentioned(&text, self.default_server.as_deref()).request(text)
                    }
                    _ => Request::pm(text),
                };
                match self.delegate(update, asked.chat, request).await {
                    Ok(task) => words::queued(task),
                    Err(error) if error.retry().is_possible() => return Err(error.to_string()),
                    Err(error) => format!("This could not be queued: {error}"),
                }
            }
            _ => words::HELP.to_owned(),
        })
    }

    async fn status(&self) -> Result<String, StoreError> {
        let holds = self.engine.holds().active().await?;
        Ok(words::status(&self.open().await?, &holds))
    }

    async fn open(&self) -> Result<Vec<Task>, StoreError> {
        self.engine.queue().store().list(&TaskQuery::open()).await
    }

    /// Has it done, once, and the chat be told the outcome.
    async fn delegate(
        &self,
        update: &Update,
        chat: ChatId,
        request: Request,
    ) -> Result<TaskId, QueueError> {
        let queue = self.engine.queue();
        let key = format!("telegram-{}-{}", self.name, update.id);
        let task = queue.keyed_task(&key, request);
        let memo = asked(&self.name, task.id);
        self.memos.set_memo(&memo, Some(&chat.to_string())).await?;
        if let Queued::Already(stored) = queue.enqueue(&task).await?
            && stored.is_settled()
        {
            // The outcome has been told meanwhile.
            self.memos.set_memo(&memo, None).await?;
        }
        Ok(task.id)
    }
}

/// The number of the message that was heard last and when, as it is remembered; `None` if that is so
/// long ago that it says nothing.
fn heard_last(text: &str, now: Timestamp) -> Option<i64> {
    let (id, at) = text.split_once(' ')?;
    let at = Timestamp::from_millis(at.parse().ok()?);
    (now.since(at) < WEEK).then(|| id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_last_is_forgotten_after_a_week() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let text = format!("28 {}", at.as_millis());
        assert_eq!(heard_last(&text, at.plus(WEEK / 2)), Some(28));
        assert_eq!(heard_last(&text, at.plus(WEEK)), None);
        assert_eq!(heard_last("28", at), None);
        assert_eq!(heard_last("x y", at), None);
    }
}
