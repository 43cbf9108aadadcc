//! The requests to opencode's server that are used, in its own words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::{Http, HttpError};
use crate::rules::{Rule, ToldRule, Verdict};
use crate::wire::{MessageInfo, Part, Permission, Question, Status};

/// A session as the server describes it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ToldSession {
    pub(crate) id: String,
    pub(crate) directory: PathBuf,
    #[serde(default)]
    pub(crate) permission: Option<Vec<Rule>>,
}

/// A message with its parts.
#[derive(Debug, Deserialize)]
pub(crate) struct ToldMessage {
    pub(crate) info: MessageInfo,
    #[serde(default)]
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct ToldAgent {
    name: String,
    #[serde(default)]
    permission: Vec<ToldRule>,
}

/// A message that is to be sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prompt<'a> {
    #[serde(rename = "messageID")]
    pub(crate) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<Model<'a>>,
    /// Only put it there; the model is not asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_reply: bool,
    pub(crate) parts: [TextPart<'a>; 1],
}

/// A model by its two names.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Model<'a> {
    #[serde(rename = "providerID")]
    provider: &'a str,
    #[serde(rename = "modelID")]
    model: &'a str,
}

/// The text of a message.
#[derive(Debug, Serialize)]
pub(crate) struct TextPart<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> TextPart<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { r#type: "text", text }
    }
}

impl<'a> Model<'a> {
    /// `provider/model`; the model's own name may contain slashes.
    pub(crate) fn of(name: &'a str) -> Option<Self> {
        let (provider, model) = name.split_once('/')?;
        (!provider.is_empty() && !model.is_empty()).then_some(Self { provider, model })
    }
}

impl Http {
    pub(crate) async fn create_session(
        &self,
        directory: &Path,
        title: &str,
        rules: &[Rule],
    ) -> Result<ToldSession, HttpError> {
        self.post("/session", Some(directory), &json!({ "title": title, "permission": rules }))
            .await
    }

    /// `None` if there is no such session.
    pub(crate) async fn session(&self, id: &str) -> Result<Option<ToldSession>, HttpError> {
        found(self.get(&format!("/session/{id}"), None).await)
    }

    pub(crate) async fn fork(&self, id: &str) -> Result<ToldSession, HttpError> {
        self.post(&format!("/session/{id}/fork"), None, &json!({})).await
    }

    pub(crate) async fn move_session(&self, id: &str, directory: &Path) -> Result<(), HttpError> {
        let body = json!({ "sessionID": id, "destination": { "directory": directory } });
        let path = "/experimental/control-plane/move-session";
        self.tell(Method::POST, path, None, Some(&body)).await
    }

    pub(crate) async fn rename(&self, id: &str, title: &str) -> Result<(), HttpError> {
        self.patch(id, &json!({ "title": title })).await
    }

    /// Appends the rules to those that the session has.
    pub(crate) async fn add_rules(&self, id: &str, rules: &[Rule]) -> Result<(), HttpError> {
        self.patch(id, &json!({ "permission": rules })).await
    }

    async fn patch(&self, id: &str, body: &Value) -> Result<(), HttpError> {
        self.tell(Method::PATCH, &format!("/session/{id}"), None, Some(body)).await
    }

    /// Deletes a session; one that is not there is deleted already.
    pub(crate) async fn delete_session(&self, id: &str) -> Result<(), HttpError> {
        found(self.tell(Method::DELETE, &format!("/session/{id}"), None, None::<&()>).await)
            .map(|_| ())
    }

    /// The session's last messages, oldest first; all of them without `limit`.
    pub(crate) async fn messages(
        &self,
        id: &str,
        limit: Option<u32>,
    ) -> Result<Vec<ToldMessage>, HttpError> {
        self.get(&messages_path(id, limit), None).await
    }

    /// All messages in opencode's own words, for a copy.
    pub(crate) async fn raw_messages(&self, id: &str) -> Result<Vec<Value>, HttpError> {
        self.get(&messages_path(id, None), None).await
    }

    /// The session in opencode's own words, for a copy.
    pub(crate) async fn raw_session(&self, id: &str) -> Result<Option<Value>, HttpError> {
        found(self.get(&format!("/session/{id}"), None).await)
    }

    /// Whether the session has this message.
    pub(crate) async fn has_message(&self, id: &str, message: &str) -> Result<bool, HttpError> {
        let path = format!("/session/{id}/message/{message}");
        Ok(found(self.get::<Value>(&path, None).await)?.is_some())
    }

    /// Sends a message and does not wait for the answer to it.
    pub(crate) async fn prompt(&self, id: &str, prompt: &Prompt<'_>) -> Result<(), HttpError> {
        self.tell(Method::POST, &format!("/session/{id}/prompt_async"), None, Some(prompt)).await
    }

    /// Puts a message into a session, to which the model does not answer.
    pub(crate) async fn put_message(&self, id: &str, prompt: &Prompt<'_>) -> Result<(), HttpError> {
        self.tell(Method::POST, &format!("/session/{id}/message"), None, Some(prompt)).await
    }

    pub(crate) async fn abort(&self, id: &str) -> Result<(), HttpError> {
        self.tell(Method::POST, &format!("/session/{id}/abort"), None, Some(&json!({}))).await
    }

    /// What the directory's sessions do; one that is not in it is idle.
    pub(crate) async fn status(
        &self,
        directory: &Path,
    ) -> Result<HashMap<String, Status>, HttpError> {
        self.get("/session/status", Some(directory)).await
    }

    pub(crate) async fn permissions(&self, directory: &Path) -> Result<Vec<Permission>, HttpError> {
        self.get("/permission", Some(directory)).await
    }

    pub(crate) async fn answer_permission(
        &self,
        directory: &Path,
        id: &str,
        verdict: Verdict,
    ) -> Result<(), HttpError> {
        let reply = match verdict {
            Verdict::Allow => "once",
            Verdict::Deny => "reject",
        };
        let body = json!({ "reply": reply });
        let path = format!("/permission/{id}/reply");
        found(self.tell(Method::POST, &path, Some(directory), Some(&body)).await).map(|_| ())
    }

    pub(crate) async fn questions(&self, directory: &Path) -> Result<Vec<Question>, HttpError> {
        self.get("/question", Some(directory)).await
    }

    pub(crate) async fn reject_question(
        &self,
        directory: &Path,
        id: &str,
    ) -> Result<(), HttpError> {
        let path = format!("/question/{id}/reject");
        found(self.tell(Method::POST, &path, Some(directory), Some(&json!({}))).await).map(|_| ())
    }

    /// The rules that hold for an agent in a directory, before any session's own.
    pub(crate) async fn agent_rules(
        &self,
        directory: &Path,
        agent: &str,
    ) -> Result<Vec<ToldRule>, HttpError> {
        let agents: Vec<ToldAgent> = self.get("/agent", Some(directory)).await?;
        let named = agents.into_iter().find(|told| told.name == agent);
        Ok(named.map(|told| told.permission).unwrap_or_default())
    }

    /// Ends what the server keeps for a directory: watchers, language servers, MCP servers.
    pub(crate) async fn dispose(&self, directory: &Path) -> Result<(), HttpError> {
        self.tell(Method::POST, "/instance/dispose", Some(directory), Some(&json!({}))).await
    }
}

fn messages_path(id: &str, limit: Option<u32>) -> String {
    let limit = limit.map(|limit| format!("?limit={limit}")).unwrap_or_default();
    format!("/session/{id}/message{limit}")
}

fn found<T>(result: Result<T, HttpError>) -> Result<Option<T>, HttpError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
