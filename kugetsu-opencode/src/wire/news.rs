//! The parts of opencode's events that matter here, and how they are read.
//!
//! Most of what is told is of no interest here, and some of it is long: only what is used is made into
//! values, and the rest is passed over.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny};
use serde_json::Value;
use serde_json::value::RawValue;

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
    #[serde(deserialize_with = "if_known")]
    pub(crate) input: Input,
    pub(crate) title: String,
    pub(crate) output: String,
    pub(crate) error: String,
    #[serde(deserialize_with = "if_known")]
    pub(crate) metadata: Metadata,
}

/// What of a tool's input says in words what it is used for. Each may be anything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Input {
    pub(crate) description: Value,
    pub(crate) command: Value,
    pub(crate) file_path: Value,
    pub(crate) pattern: Value,
    pub(crate) path: Value,
    pub(crate) url: Value,
    pub(crate) query: Value,
    pub(crate) prompt: Value,
    pub(crate) tool: Value,
}

/// What a tool tells beside its output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) exit: Value,
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

/// An event, of which the properties are read when it is known what they are.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

/// The global stream wraps what the stream of one directory tells.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wrapped<'a> {
    #[serde(borrow)]
    payload: Option<Told<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

/// What events have in common, each of them some of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties<'a> {
    #[serde(rename = "sessionID")]
    session: Option<String>,
    #[serde(rename = "messageID")]
    message: Option<String>,
    #[serde(rename = "partID")]
    part_id: Option<String>,
    field: Option<String>,
    delta: Option<String>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Whose a message, a part or a session is, as it says itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Whose {
    id: Option<String>,
    #[serde(rename = "sessionID")]
    session: Option<String>,
    #[serde(rename = "parentID")]
    parent: Option<String>,
}

/// A line of `opencode run --format json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(rename = "sessionID")]
    session: Option<String>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Reads one event of `GET /event` or `GET /global/event`. `Ok(None)` is an event that is of no
/// interest, or that this version does not know.
pub(crate) fn read_event(data: &str) -> Result<Option<News>, serde_json::Error> {
    let Some(told) = read_if_known::<Wrapped<'_>>(data)? else { return Ok(None) };
    let Told { kind, properties } =
        told.payload.unwrap_or(Told { kind: told.kind, properties: told.properties });
    Ok(read_properties(&kind, properties.map_or("{}", RawValue::get)))
}

/// Something of a known kind that does not look as it should is of no interest either.
fn read_properties(kind: &str, text: &str) -> Option<News> {
    match kind {
        "server.connected" => return Some(News::Connected),
        "permission.asked" => {
            let ask: Permission = read(text)?;
            return Some(News::Permission { session: told(&ask.session)?, ask });
        }
        "question.asked" => {
            let ask: Question = read(text)?;
            return Some(News::Question { session: told(&ask.session)?, ask });
        }
        "session.created"
        | "session.status"
        | "session.idle"
        | "session.error"
        | "message.updated"
        | "message.part.updated"
        | "message.part.delta" => {}
        _ => return None,
    }
    let told: Properties<'_> = serde_json::from_str(text).ok()?;
    let whose = |what: Option<&RawValue>| what.and_then(|what| read::<Whose>(what.get()));
    let session = told.session;
    Some(match kind {
        "session.created" => {
            let info = whose(told.info).unwrap_or_default();
            News::Created { session: session.or(info.id)?, parent: info.parent }
        }
        "session.status" => News::Status { session: session?, status: read(told.status?.get())? },
        "session.idle" => News::Status { session: session?, status: Status::Idle },
        "session.error" => News::Error { session, error: error(told.error) },
        "message.updated" => {
            let session = session.or_else(|| whose(told.info)?.session)?;
            News::Message { session, info: read(told.info?.get())? }
        }
        "message.part.updated" => {
            let session = session.or_else(|| whose(told.part)?.session)?;
            News::Part { session, part: read(told.part?.get())? }
        }
        _ => News::Delta {
            session: session?,
            message: told.message?,
            part: told.part_id?,
            field: told.field?,
            delta: told.delta?,
        },
    })
}

/// Reads one line of `opencode run --format json`.
pub(crate) fn read_line(line: &str) -> Result<Option<News>, serde_json::Error> {
    let Some(line) = read_if_known::<Line<'_>>(line)? else { return Ok(None) };
    Ok(match &*line.kind {
        "error" => Some(News::Error { session: line.session, error: error(line.error) }),
        "step_start" | "text" | "reasoning" | "tool_use" | "step_finish" => line
            .session
            .zip(line.part)
            .and_then(|(session, part)| Some(News::Part { session, part: read(part.get())? })),
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

/// An error as far as it is understood.
fn error(told: Option<&RawValue>) -> ToldError {
    told.and_then(|told| read(told.get())).unwrap_or_default()
}

fn told(text: &str) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// What is JSON but does not look like this is `None`.
fn read_if_known<'a, T: Deserialize<'a>>(text: &'a str) -> Result<Option<T>, serde_json::Error> {
    match serde_json::from_str(text) {
        Ok(read) => Ok(Some(read)),
        Err(_) => serde_json::from_str(text).map(|IgnoredAny| None),
    }
}

/// What does not look like this is as if it were not there.
fn if_known<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: DeserializeOwned + Default,
    D: Deserializer<'de>,
{
    let text = Box::<RawValue>::deserialize(from)?;
    Ok(read(text.get()).unwrap_or_default())
}
