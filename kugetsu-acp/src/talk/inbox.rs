//! What an agent tells in a session.

use agent_client_protocol::v1::schema::{SessionNotification, SessionUpdate};
use kugetsu_core::event::Unknown;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::text;

/// How many letters wait for a slow reader; the agent then waits in its pipe.
const WAITING: usize = 16;

/// The largest update of an unknown kind that is kept, in bytes.
const MOST: usize = 16 << 10;

/// One thing that an agent tells.
#[derive(Debug)]
pub(crate) enum Letter {
    /// Something happened in a session.
    Update { session: String, update: Box<SessionUpdate> },
    /// Something of a kind that this version does not know.
    Strange { session: String, what: Unknown },
    /// It asked for a permission and was refused.
    Refused { session: String, call: String, text: String },
}

pub(super) type Inbox = mpsc::Receiver<Letter>;

pub(super) fn inbox() -> (mpsc::Sender<Letter>, Inbox) {
    mpsc::channel(WAITING)
}

/// Reads a line that tells an update; `None` if it is malformed.
pub(super) fn read(line: &str) -> Option<Letter> {
    #[derive(Deserialize)]
    struct Message<T> {
        params: T,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        session_id: String,
        update: serde_json::Value,
    }
    if let Ok(message) = serde_json::from_str::<Message<SessionNotification>>(line) {
        let SessionNotification { session_id, update, .. } = message.params;
        return Some(Letter::Update { session: session_id.to_string(), update: Box::new(update) });
    }
    let Params { session_id: session, update } =
        serde_json::from_str::<Message<Params>>(line).ok()?.params;
    // A name of its own, so that nobody takes it for an event that core knows.
    let kind = format!("acp_{}", text::cut(update.get("sessionUpdate")?.as_str()?, 60));
    let data = if line.len() > MOST { None } else { serde_json::from_value(update).ok() };
    Some(Letter::Strange { session, what: Unknown { kind, data: data.unwrap_or_default() } })
}
