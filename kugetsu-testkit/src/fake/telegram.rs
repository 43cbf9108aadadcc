use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// The Bot API of Telegram on loopback, for one bot: what a test writes to the bot can be fetched as
/// updates, and what the bot sends is remembered. It is gone with the value.
pub struct FakeBotApi {
    url: String,
    stage: Arc<Stage>,
    _serving: AbortOnDropHandle<()>,
}

/// A message that the bot has sent.
///
/// Made by [`FakeBotApi`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentMessage {
    /// Into which chat.
    pub chat: i64,
    /// Its text.
    pub text: String,
    /// The whole request.
    pub request: Value,
}

struct Stage {
    token: String,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    last: i64,
    updates: Vec<(i64, Value)>,
    sent: Vec<SentMessage>,
    refusals: VecDeque<(u16, Value)>,
    polls: Vec<Value>,
}

impl FakeBotApi {
    /// Serves the bot with this token, on a free port.
    pub async fn start(token: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let stage = Arc::new(Stage {
            token: token.into(),
            state: Mutex::default(),
            changed: watch::channel(()).0,
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&stage)));
        Ok(Self { url, stage, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Its address, without the token.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// This person writes to the bot, in their private chat. Returns the update's number.
    pub fn write(&self, person: i64, text: &str) -> i64 {
        self.push(|id| {
            json!({"message": {
                "message_id": id, "date": 1_700_000_000, "text": text,
                "from": {"id": person, "is_bot": false, "first_name": "A person"},
                "chat": {"id": person, "type": "private", "first_name": "A person"},
            }})
        })
    }

    /// An update as `make` makes it of its number, for what [`write`](Self::write) does not write.
    pub fn push(&self, make: impl FnOnce(i64) -> Value) -> i64 {
        let id = {
            let mut state = self.stage.state();
            state.last += 1;
            let id = state.last;
            let mut update = make(id);
            update["update_id"] = json!(id);
            state.updates.push((id, update));
            id
        };
        self.stage.changed.send_replace(());
        id
    }

    /// Answers the next `sendMessage` so, with this document, instead of doing it.
    pub fn refuse(&self, status: u16, document: Value) {
        self.stage.state().refusals.push_back((status, document));
    }

    /// What the bot has sent so far, in order.
    pub fn sent(&self) -> Vec<SentMessage> {
        self.stage.state().sent.clone()
    }

    /// The requests for updates so far, in order.
    pub fn polls(&self) -> Vec<Value> {
        self.stage.state().polls.clone()
    }

    /// Waits until this holds of what was sent and of how often updates were asked for.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute.
    pub async fn until(&self, holds: impl Fn(&[SentMessage], usize) -> bool) {
        let mut changed = self.stage.changed.subscribe();
        let wait = async {
            loop {
                changed.mark_unchanged();
                {
                    let state = self.stage.state();
                    if holds(&state.sent, state.polls.len()) {
                        return;
                    }
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let came = tokio::time::timeout(Duration::from_mins(1), wait).await.is_ok();
        assert!(came, "within a minute the bot sent only {:?}", self.sent());
    }
}

impl fmt::Debug for FakeBotApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBotApi").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Stage {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, path: &str, asked: Value) -> (StatusCode, Value) {
        let Some(method) = path.strip_prefix(&format!("/bot{}/", self.token)) else {
            return refusal(StatusCode::UNAUTHORIZED, "Unauthorized");
        };
        match method {
            "sendMessage" => self.send(asked),
            "getUpdates" => self.updates(asked).await,
            _ => refusal(StatusCode::NOT_FOUND, "Not Found"),
        }
    }

    fn send(&self, asked: Value) -> (StatusCode, Value) {
        let answer = {
            let mut state = self.state();
            let (chat, text) = (asked["chat_id"].as_i64(), asked["text"].as_str());
            if let Some((status, document)) = state.refusals.pop_front() {
                (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), document)
            } else if let (Some(chat), Some(text)) = (chat, text) {
                let text = text.to_owned();
                state.sent.push(SentMessage { chat, text, request: asked });
                (StatusCode::OK, json!({"ok": true, "result": {"message_id": state.sent.len()}}))
            } else {
                refusal(StatusCode::BAD_REQUEST, "Bad Request: chat or text is missing")
            }
        };
        self.changed.send_replace(());
        answer
    }

    async fn updates(&self, asked: Value) -> (StatusCode, Value) {
        let mut changed = self.changed.subscribe();
        let offset = asked["offset"].as_i64().unwrap_or(0);
        let most = asked["limit"].as_u64().unwrap_or(100);
        let wait = Duration::from_secs(asked["timeout"].as_u64().unwrap_or(0));
        self.state().polls.push(asked);
        self.changed.send_replace(());
        let end = tokio::time::Instant::now() + wait;
        loop {
            changed.mark_unchanged();
            let ready: Vec<Value> = {
                let mut state = self.state();
                state.updates.retain(|(id, _)| *id >= offset);
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                state.updates.iter().take(most).map(|(_, update)| update.clone()).collect()
            };
            let late = tokio::time::timeout_at(end, changed.changed());
            if !ready.is_empty() || late.await.is_err() {
                return (StatusCode::OK, json!({"ok": true, "result": ready}));
            }
        }
    }
}

fn refusal(status: StatusCode, description: &str) -> (StatusCode, Value) {
    let code = status.as_u16();
    (status, json!({"ok": false, "error_code": code, "description": description}))
}

async fn serve(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    // It fails only when descriptors are short, which no test that goes on would notice.
    while let Ok((stream, _)) = listener.accept().await {
        let stage = Arc::clone(&stage);
        let service = service_fn(move |request: Request<Incoming>| {
            let stage = Arc::clone(&stage);
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await;
                let body = body.map(Collected::to_bytes).unwrap_or_default();
                let asked = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, document) = stage.answer(&path, asked).await;
                let mut response = Response::new(Full::<Bytes>::from(document.to_string()));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
