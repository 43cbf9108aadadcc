//! What the Bot API sends, as far as it is looked at.

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct Reply {
    pub(super) ok: bool,
    #[serde(default)]
    pub(super) result: Value,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Parameters {
    pub(super) retry_after: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) chat: Chat,
    pub(super) from: Option<Person>,
    pub(super) text: Option<String>,
    /// Everything else. A message that was not typed by its sender, here and now, shows it by a field
    /// that others do not have.
    #[serde(flatten)]
    pub(super) rest: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
pub(super) struct Person {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) is_bot: bool,
}
