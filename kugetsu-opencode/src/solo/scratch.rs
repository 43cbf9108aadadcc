//! A session made by hand, for an import.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::ids;
use crate::rules::Rule;
use crate::sessions::Copied;

/// A session in which nothing was said but, perhaps, a briefing for a model of this name.
pub(super) fn session(
    title: &str,
    rules: &[Rule],
    version: &str,
    briefing: Option<(&str, &str)>,
) -> io::Result<Copied> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or_default();
    let id = ids::session()?;
    let info = json!({
        "id": id, "slug": "kugetsu", "title": title, "version": version, "permission": rules,
        // The import writes the project and the directory that it runs in.
        "projectID": "global", "directory": "/", "path": "",
        "time": { "created": now, "updated": now },
    });
    let messages = match briefing {
        Some((text, model)) => vec![message(&id, now, text, model)?],
        None => Vec::new(),
    };
    Ok(Copied::made(info, messages))
}

fn message(session: &str, now: u64, text: &str, model: &str) -> io::Result<Value> {
    let id = ids::message()?;
    let (provider, model) = model.split_once('/').unwrap_or(("", model));
    Ok(json!({
        "info": {
            "id": id, "sessionID": session, "role": "user", "time": { "created": now },
            "agent": crate::quirks::DEFAULT_AGENT,
            "model": { "providerID": provider, "modelID": model },
        },
        "parts": [{
            "id": id.replacen("msg_", "prt_", 1), "messageID": id, "sessionID": session,
            "type": "text", "text": text,
        }],
    }))
}
