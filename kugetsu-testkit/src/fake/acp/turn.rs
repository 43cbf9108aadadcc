use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::session::Session;
use super::{Agent, Refusal, tools};

/// The way to stop a turn that waits for its model.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<Mutex<(bool, Option<TcpStream>)>>);

impl Stop {
    pub(super) fn stop(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        if let Some(connection) = &state.1 {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// From now on this connection is what has to be shut down.
    fn waits_for(&self, connection: &TcpStream) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = connection.try_clone().ok();
        if state.0 {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Takes a turn, and tells how it ended.
pub(super) fn take(agent: &Agent, params: &Value) -> Result<Value, Refusal> {
    let id = params["sessionId"].as_str().unwrap_or_default();
    let mut session = agent.known(id)?;
    let texts = params["prompt"].as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(|block| block["text"].as_str()).collect();
    session.messages.push(json!({ "role": "user", "content": texts.join("\n") }));
    agent.sessions.put(&session)?;
    let stop = Stop::default();
    agent.turns().insert(id.to_owned(), stop.clone());
    let ended = go_on(agent, &mut session, &stop);
    agent.turns().remove(id);
    Ok(json!({ "stopReason": ended? }))
}

/// Asks the model until it has no more to do.
fn go_on(agent: &Agent, session: &mut Session, stop: &Stop) -> Result<&'static str, Refusal> {
    loop {
        let connection = agent.model.connect()?;
        stop.waits_for(&connection);
        let reply = agent.model.ask(&connection, &session.id, &session.messages);
        if stop.is_asked() {
            return Ok("cancelled");
        }
        let reply = reply?;
        if reply.status != 200 {
            let why = reply.body["error"]["message"].as_str().unwrap_or("the model failed");
            let mut data = json!({ "status": reply.status });
            if let Some(wait) = reply.retry_after {
                data["retryAfter"] = wait.into();
            }
            return Err(Refusal(-32603, format!("Internal error: {why}"), data));
        }
        let choice = &reply.body["choices"][0];
        let message = choice["message"].clone();
        if message.is_null() {
            return Err(Refusal::new(-32603, "Internal error: the model's answer is no JSON"));
        }
        say(agent, &session.id, &message);
        session.used += reply.body["usage"]["total_tokens"].as_u64().unwrap_or_default();
        session.messages.push(message.clone());
        #[allow(clippy::cast_precision_loss)]
        let dollars = session.used as f64 / 1e6;
        agent.client.tell(
            &session.id,
            &json!({
                "sessionUpdate": "usage_update", "used": session.used, "size": 1_000_000,
                "cost": { "amount": dollars, "currency": "USD" },
            }),
        );
        agent.sessions.put(session)?;
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            return Ok(match choice["finish_reason"].as_str() {
                Some("length") => "max_tokens",
                Some("content_filter") => "refusal",
                Some("turns") => "max_turn_requests",
                Some("strange") => "strange",
                _ => "end_turn",
            });
        }
        for call in calls {
            let done = tools::call(agent, session, &call);
            let was_refused = matches!(&done, Err(why) if why == tools::REFUSED);
            let (Ok(report) | Err(report)) = done;
            let id = &call["id"];
            let report = json!({ "role": "tool", "tool_call_id": id, "content": report });
            session.messages.push(report);
            agent.sessions.put(session)?;
            if stop.is_asked() {
                return Ok("cancelled");
            }
            if was_refused && agent.has("gives-up") {
                return Ok("end_turn");
            }
        }
    }
}

/// Tells what the model thought and said, in small pieces.
fn say(agent: &Agent, session: &str, message: &Value) {
    let parts = [("reasoning_content", "agent_thought_chunk"), ("content", "agent_message_chunk")];
    for (part, kind) in parts {
        let text: Vec<char> = message[part].as_str().unwrap_or_default().chars().collect();
        for piece in text.chunks(7) {
            let content = json!({ "type": "text", "text": piece.iter().collect::<String>() });
            agent.client.tell(session, &json!({ "sessionUpdate": kind, "content": content }));
        }
    }
}
