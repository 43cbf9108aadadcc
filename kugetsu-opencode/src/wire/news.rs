//! The parts of opencode's events that matter here, and how they are read.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::quirks;

/// One thing that happened in a session.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// The stream of events is open from here on.
    Connected,
    /// A session was made; `parent` has it for a sub-agent.
    Created { session: String, parent: Option<String> },
    /// The session is busy, waits to try again, or is idle.
    Status { session: String, status: Status },
    /// Something went wrong in the session.
    Error { session: Option<String>, error: ToldError },
    /// A message as it is now.
    Message { session: String, info: Box<MessageInfo> },
    /// A part of a message as it is now.
    Part { session: String, part: Box<Part> },
    /// A piece was added to a field of a part.
    Delta { session: String, message: String, part: String, field: String, delta: String },
    /// The model's provider failed, and is asked again after a while that is not told.
    Failing { session: String, provider: String, message: String },
    /// A permission is asked for.
    Permission { session: String, ask: Permission },
    /// Something else is asked for.
    Question { session: String, ask: Question },
}

/// What a session is doing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Status {
    /// It works.
    Busy,
    /// The model's provider failed; it will try again at `next`, in milliseconds since 1970.
    Retry {
        #[serde(default)]
        attempt: u64,
        #[serde(default)]
        message: String,
        #[serde(default)]
        next: u64,
    },
    /// Nothing is going on.
    Idle,
    /// Something that this version does not know; surely not idle.
    #[serde(other)]
    Unknown,
}

/// An error as opencode tells it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToldError {
    pub(crate) name: String,
    pub(crate) data: ErrorData,
}

/// What is known of an error.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ErrorData {
    pub(crate) message: String,
    pub(crate) status_code: Option<u16>,
    pub(crate) is_retryable: Option<bool>,
    pub(crate) response_headers: HashMap<String, Value>,
    pub(crate) response_body: String,
}

/// A message without its parts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MessageInfo {
    pub(crate) id: String,
    pub(crate) role: String,
    #[serde(rename = "parentID")]
    pub(crate) parent: Option<String>,
    #[serde(rename = "providerID")]
    pub(crate) provider: String,
    pub(crate) finish: Option<String>,
    pub(crate) error: Option<ToldError>,
    pub(crate) time: Times,
}

/// When something began and ended, in milliseconds since 1970.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Times {
    pub(crate) completed: Option<f64>,
    pub(crate) end: Option<f64>,
}

/// A part of a message: text, thought, tool call, step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Part {
    pub(crate) id: String,
    #[serde(rename = "messageID")]
    pub(crate) message: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) text: String,
    /// Whether the text was put in by opencode itself.
    pub(crate) synthetic: bool,
    pub(crate) time: Times,
    pub(crate) tool: String,
    #[serde(rename = "callID")]
    pub(crate) call: String,
    pub(crate) state: ToolState,
    pub(crate) reason: String,
    pub(crate) tokens: Tokens,
    pub(crate) cost: f64,
}

/// A tool call as it is now.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ToolState {
    pub(crate) status: String,
    pub(crate) input: Value,
    pub(crate) title: String,
    pub(crate) output: String,
    pub(crate) error: String,
    pub(crate) metadata: Value,
}

/// What a step used up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tokens {
    pub(crate) input: f64,
    pub(crate) output: f64,
    pub(crate) reasoning: f64,
    pub(crate) cache: CacheTokens,
}

/// Tokens that went through the provider's cache.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CacheTokens {
    pub(crate) read: f64,
    pub(crate) write: f64,
}

/// A permission that is asked for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Permission {
    pub(crate) id: String,
    #[serde(rename = "sessionID")]
    pub(crate) session: String,
    #[serde(rename = "permission")]
    pub(crate) class: String,
    pub(crate) patterns: Vec<String>,
}

/// A question that is asked.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Question {
    pub(crate) id: String,
    #[serde(rename = "sessionID")]
    pub(crate) session: String,
    pub(crate) questions: Vec<QuestionText>,
}

/// The words of a question.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct QuestionText {
    pub(crate) question: String,
}

impl Permission {
    /// What is wanted, in words.
    pub(crate) fn text(&self) -> String {
        format!("permission {}: {}", self.class, self.patterns.join(", "))
    }
}

impl Question {
    /// What is wanted, in words.
    pub(crate) fn text(&self) -> String {
        let questions: Vec<&str> = self.questions.iter().map(|q| q.question.as_str()).collect();
        format!("question: {}", questions.join(" / "))
    }
}

impl News {
    /// The session that it is about.
    pub(crate) fn session(&self) -> Option<&str> {
        match self {
            Self::Connected => None,
            Self::Error { session, .. } => session.as_deref(),
            Self::Created { session, .. }
            | Self::Status { session, .. }
            | Self::Message { session, .. }
            | Self::Part { session, .. }
            | Self::Delta { session, .. }
            | Self::Failing { session, .. }
            | Self::Permission { session, .. }
            | Self::Question { session, .. } => Some(session),
        }
    }
}

/// Reads one event of `GET /event` or `GET /global/event`. `Ok(None)` is an event that is of no
/// interest, or that this version does not know.
pub(crate) fn read_event(data: &str) -> Result<Option<News>, serde_json::Error> {
    let mut value: Value = serde_json::from_str(data)?;
    // The global stream wraps what the stream of one directory tells.
    if let Some(payload) = value.get_mut("payload") {
        value = payload.take();
    }
    let properties = value.get_mut("properties").map(Value::take).unwrap_or_default();
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    Ok(read_properties(kind, properties))
}

/// Something of a known kind that does not look as it should is of no interest either.
fn read_properties(kind: &str, mut properties: Value) -> Option<News> {
    let told = |name: &str| Some(properties.get(name)?.as_str()?.to_owned());
    let session = told("sessionID");
    Some(match kind {
        "server.connected" => News::Connected,
        "session.created" => News::Created {
            session: session
                .or_else(|| Some(properties.pointer("/info/id")?.as_str()?.to_owned()))?,
            parent: properties
                .pointer("/info/parentID")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned),
        },
        "session.status" => {
            News::Status { session: session?, status: take(&mut properties, "status")? }
        }
        "session.idle" => News::Status { session: session?, status: Status::Idle },
        "session.error" => {
            News::Error { session, error: take(&mut properties, "error").unwrap_or_default() }
        }
        "message.updated" => {
            let session = session
                .or_else(|| Some(properties.pointer("/info/sessionID")?.as_str()?.to_owned()));
            News::Message { session: session?, info: take(&mut properties, "info")? }
        }
        "message.part.updated" => {
            let session = session
                .or_else(|| Some(properties.pointer("/part/sessionID")?.as_str()?.to_owned()));
            News::Part { session: session?, part: take(&mut properties, "part")? }
        }
        "message.part.delta" => News::Delta {
            session: session?,
            message: told("messageID")?,
            part: told("partID")?,
            field: told("field")?,
            delta: told("delta")?,
        },
        "permission.asked" => {
            News::Permission { session: session?, ask: serde_json::from_value(properties).ok()? }
        }
        "question.asked" => {
            News::Question { session: session?, ask: serde_json::from_value(properties).ok()? }
        }
        _ => return None,
    })
}

/// Reads one line of `opencode run --format json`.
pub(crate) fn read_line(line: &str) -> Result<Option<News>, serde_json::Error> {
    let mut value: Value = serde_json::from_str(line)?;
    let session = value.get("sessionID").and_then(Value::as_str).map(ToOwned::to_owned);
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    Ok(match kind {
        "error" => {
            Some(News::Error { session, error: take(&mut value, "error").unwrap_or_default() })
        }
        "step_start" | "text" | "reasoning" | "tool_use" | "step_finish" => session
            .and_then(|session| Some(News::Part { session, part: take(&mut value, "part")? })),
        _ => None,
    })
}

/// Reads one line of opencode's own log, of which only a failing provider is of interest.
pub(crate) fn read_log(line: &str) -> Option<News> {
    let value = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        Some(match rest.strip_prefix('"') {
            Some(quoted) => quoted.rsplit_once('"').map_or(quoted, |(text, _)| text),
            None => rest.split(' ').next().unwrap_or_default(),
        })
    };
    let is_ours = line.contains(quirks::STREAM_ERROR) && value("small")? == "false";
    is_ours.then_some(News::Failing {
        session: value("session.id")?.to_owned(),
        provider: value("providerID")?.to_owned(),
        message: value("error.error")?.to_owned(),
    })
}

fn take<T: serde::de::DeserializeOwned>(value: &mut Value, name: &str) -> Option<T> {
    serde_json::from_value(value.get_mut(name)?.take()).ok()
}
