use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};
use kugetsu_core::Retry;
use serde_json::{Value, json};

use super::api::Reply;
use super::{ChatId, Update, text};
use crate::http::{Address, BadAddress, Http, HttpError};
use crate::secret::Secret;

/// The Bot API of Telegram itself.
const TELEGRAM: &str = "https://api.telegram.org";

/// The longest answer that is read: more than twenty messages of the greatest length.
const ANSWER: usize = 4 << 20;

/// How many updates are asked for at once.
const UPDATES: u32 = 20;

/// A client of the Bot API. Clones share its connections.
///
/// The bot's token is part of each request's path; no error tells it.
#[derive(Clone)]
pub struct Bot {
    address: Address,
    token: Secret,
    http: Http,
    limit: Duration,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot").field("origin", &self.address.origin).finish_non_exhaustive()
    }
}

/// Why the Bot API did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelegramError {
    /// It could not be asked, or gave no answer that can be read. May pass.
    #[error("{origin}: {why}")]
    Unanswered {
        /// Scheme, host and port.
        origin: String,
        /// What happened.
        why: String,
    },
    /// It does not know the token.
    #[error("the bot's token is not known to {origin}; ask @BotFather for one")]
    BadToken {
        /// Scheme, host and port.
        origin: String,
    },
    /// It said no, and would say so again.
    #[error("Telegram refuses: {why}")]
    Refused {
        /// Its words.
        why: String,
    },
    /// It said no for now.
    #[error("Telegram takes nothing now: {why}")]
    Later {
        /// Its words.
        why: String,
        /// When to ask again.
        retry: Retry,
    },
    /// Another program asks for the same bot's updates.
    #[error("another program asks for this bot's messages: {why}")]
    Shared {
        /// Its words.
        why: String,
    },
}

impl TelegramError {
    /// Whether trying again could help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unanswered { .. } | Self::Shared { .. } => Retry::Later,
            Self::Later { retry, .. } => *retry,
            Self::BadToken { .. } | Self::Refused { .. } => Retry::Never,
        }
    }
}

impl Bot {
    /// The bot with this token, at Telegram.
    pub fn new(token: Secret) -> Result<Self, BadAddress> {
        Self::at(TELEGRAM, token)
    }

    /// The bot with this token at another server of the Bot API. Without TLS only on this machine.
    pub fn at(server: &str, token: Secret) -> Result<Self, BadAddress> {
        let address = Address::parse(server, false)?;
        let http = Http::new(&address)?;
        Ok(Self { address, token, http, limit: Duration::from_secs(15) })
    }

    /// Gives the server so much time to answer, on top of what an answer may wait for; 15 s unless
    /// set.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Writes a message into a chat: plain text, without links' previews. What could change how it is
    /// shown is left out of it, and what is longer than 4096 characters is cut and says so.
    pub async fn send(&self, chat: ChatId, text: &str) -> Result<(), TelegramError> {
        let body = json!({
            "chat_id": chat.0,
            "text": text::shown(text),
            "link_preview_options": {"is_disabled": true},
        });
        self.call("sendMessage", &body, Duration::ZERO).await.map(drop)
    }

    /// What has come since the update with this number, in order; with `None`, all that the server
    /// still has. It waits until there is something, but no longer than `wait`, and then there is
    /// nothing. The server forgets what is not newer than `after`.
    pub async fn updates(
        &self,
        after: Option<i64>,
        wait: Duration,
    ) -> Result<Vec<Update>, TelegramError> {
        let mut body =
            json!({"timeout": wait.as_secs(), "limit": UPDATES, "allowed_updates": ["message"]});
        if let Some(after) = after {
            body["offset"] = json!(after.saturating_add(1));
        }
        let Value::Array(all) = self.call("getUpdates", &body, wait).await? else {
            return Err(self.unanswered("its answer holds no updates"));
        };
        // The order is promised by nobody.
        let mut updates: Vec<Update> = all.into_iter().filter_map(Update::of).collect();
        updates.sort_by_key(|update| update.id);
        updates.retain(|update| after.is_none_or(|after| update.id > after));
        Ok(updates)
    }

    async fn call(
        &self,
        method: &str,
        body: &Value,
        wait: Duration,
    ) -> Result<Value, TelegramError> {
        let base = self.address.uri.to_string();
        let uri = format!("{}/bot{}/{method}", base.trim_end_matches('/'), self.token.reveal());
        // What is wrong with it is the token, which must not be named.
        let uri: Uri = uri.parse().map_err(|_| self.bad_token())?;
        let request = Request::post(uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|_| self.unanswered(&HttpError::Unmade.to_string()))?;
        let answer = self
            .http
            .send(request, Some(ANSWER), self.limit.saturating_add(wait))
            .await
            .map_err(|error| self.unanswered(&error.to_string()))?;
        let status = answer.status;
        let Ok(reply) = serde_json::from_slice::<Reply>(&answer.body) else {
            return Err(match status {
                StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => self.bad_token(),
                _ => {
                    self.unanswered(&format!("it answered {status}, and nothing that can be read"))
                }
            });
        };
        if reply.ok && status.is_success() {
            return Ok(reply.result);
        }
        let why = self.words(&reply, status);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => self.bad_token(),
            StatusCode::CONFLICT => TelegramError::Shared { why },
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = reply.parameters.retry_after.map(Duration::from_secs);
                let wait =
                    wait.or(answer.retry_after).map(|wait| wait.min(Duration::from_hours(1)));
                TelegramError::Later { why, retry: wait.map_or(Retry::Later, Retry::after) }
            }
            other if other.is_client_error() => TelegramError::Refused { why },
            _ => TelegramError::Later { why, retry: Retry::Later },
        })
    }

    fn unanswered(&self, why: &str) -> TelegramError {
        TelegramError::Unanswered { origin: self.address.origin.clone(), why: self.token.mask(why) }
    }

    fn bad_token(&self) -> TelegramError {
        TelegramError::BadToken { origin: self.address.origin.clone() }
    }

    /// What the server says, in a line that is not too long and without the token.
    fn words(&self, reply: &Reply, status: StatusCode) -> String {
        let said = self.token.mask(&reply.description);
        let said: String = said.chars().filter(|char| !char.is_control()).take(200).collect();
        if said.is_empty() { status.to_string() } else { said }
    }
}
