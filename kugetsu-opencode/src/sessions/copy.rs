//! A session's whole content, and a copy of it under new ids.

use std::collections::HashMap;

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use serde_json::{Map, Value, json};

use super::during;
use crate::rules::Rule;
use crate::server::Http;
use crate::{fault, ids};

/// A session as `opencode export` writes it: `{info, messages: [{info, parts}]}`.
#[derive(Debug, Clone)]
pub(crate) struct Copied {
    info: Value,
    messages: Vec<Value>,
}

impl Copied {
    /// What the server has of the session.
    pub(crate) async fn read(http: &Http, id: &str) -> Result<Self, AgentError> {
        let info =
            http.raw_session(id).await.map_err(during("read a session"))?.ok_or_else(|| {
                match super::session_id(id) {
                    Ok(session) => AgentError::UnknownSession { session },
                    Err(error) => error,
                }
            })?;
        let messages = http.raw_messages(id).await.map_err(during("read a session"))?;
        Ok(Self { info, messages })
    }

    /// A session of these parts.
    pub(crate) fn made(info: Value, messages: Vec<Value>) -> Self {
        Self { info, messages }
    }

    /// What `opencode export` printed.
    pub(crate) fn parse(exported: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Export {
            info: Value,
            messages: Vec<Value>,
        }
        let Export { info, messages } = serde_json::from_slice(exported)?;
        Ok(Self { info, messages })
    }

    /// The session's id.
    pub(crate) fn id(&self) -> &str {
        text(&self.info, "id")
    }

    /// Every message's text, if nothing but words was put into the session and nobody answered.
    pub(crate) fn only_words(&self) -> Option<Vec<&str>> {
        let mut words = Vec::new();
        for message in &self.messages {
            if message.pointer("/info/role")? != "user" {
                return None;
            }
            for part in message.get("parts")?.as_array()? {
                if part.get("type")? != "text" {
                    return None;
                }
                words.push(part.get("text")?.as_str()?);
            }
        }
        Some(words)
    }

    /// Who said what, in order; without tools and thoughts.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&str, &str)> {
        self.messages.iter().flat_map(|message| {
            let role = message.pointer("/info/role").and_then(Value::as_str).unwrap_or_default();
            let parts = message.get("parts").and_then(Value::as_array);
            let words = parts.into_iter().flatten().filter(|part| text(part, "type") == "text");
            words.map(move |part| (role, text(part, "text")))
        })
    }

    /// The same content under new ids: an import keeps what is there already.
    pub(crate) fn renewed(&self, title: &str, rules: &[Rule]) -> Result<Self, AgentError> {
        self.with_new_ids(title, rules).map_err(|error| fault::io("make an id", error))?.ok_or_else(
            || {
                let why = "its export does not look as it should";
                fault::backend("copy a session", Retry::Never, why)
            },
        )
    }

    fn with_new_ids(&self, title: &str, rules: &[Rule]) -> std::io::Result<Option<Self>> {
        let id = ids::session()?;
        let mut renamed: HashMap<&str, String> = HashMap::new();
        for message in &self.messages {
            let Some(old) = message.pointer("/info/id").and_then(Value::as_str) else {
                return Ok(None);
            };
            renamed.insert(old, ids::renewed(old)?);
        }
        let mut info = self.info.clone();
        let Some(fields) = info.as_object_mut() else { return Ok(None) };
        fields.remove("parentID");
        fields.remove("share");
        fields.extend([
            ("id".to_owned(), json!(id)),
            ("title".to_owned(), json!(title)),
            ("permission".to_owned(), json!(rules)),
        ]);
        let mut messages = self.messages.clone();
        for message in &mut messages {
            let Some(told) = message.get_mut("info").and_then(Value::as_object_mut) else {
                return Ok(None);
            };
            let new = rename(told, "id", &renamed);
            rename(told, "parentID", &renamed);
            told.insert("sessionID".into(), json!(id));
            for part in message.get_mut("parts").and_then(Value::as_array_mut).into_iter().flatten()
            {
                let Some(part) = part.as_object_mut() else { return Ok(None) };
                let old = part.get("id").and_then(Value::as_str).unwrap_or("prt_000000000000");
                let new_part = ids::renewed(old)?;
                part.extend([
                    ("id".to_owned(), json!(new_part)),
                    ("messageID".to_owned(), json!(new)),
                    ("sessionID".to_owned(), json!(id)),
                ]);
            }
        }
        Ok(Some(Self { info, messages }))
    }

    /// What `opencode import` reads.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "info": self.info, "messages": self.messages })
    }
}

fn rename(fields: &mut Map<String, Value>, name: &str, renamed: &HashMap<&str, String>) -> String {
    let Some(new) = fields.get(name).and_then(Value::as_str).and_then(|old| renamed.get(old))
    else {
        return String::new();
    };
    fields.insert(name.to_owned(), json!(new));
    new.clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
