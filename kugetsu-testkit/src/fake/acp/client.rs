use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::Refusal;

/// The other side, to which everything is written line by line.
pub(super) struct Client {
    output: Mutex<Box<dyn Write + Send>>,
    /// Who waits for the answer to which question.
    waiting: Mutex<(u64, HashMap<u64, mpsc::Sender<Value>>)>,
}

impl Client {
    pub(super) fn new(output: impl Write + Send + 'static) -> Self {
        Self { output: Mutex::new(Box::new(output)), waiting: Mutex::default() }
    }

    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(text.as_bytes())?;
        output.flush()
    }

    /// Tells what happens in a session.
    pub(super) fn tell(&self, session: &str, update: &Value) {
        let params = json!({ "sessionId": session, "update": update });
        self.send(&json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }));
    }

    pub(super) fn answer(&self, id: &Value, answer: Result<Value, Refusal>) {
        self.send(&match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(Refusal(code, message, data)) => {
                let mut error = json!({ "code": code, "message": message });
                if !data.is_null() {
                    error["data"] = data;
                }
                json!({ "jsonrpc": "2.0", "id": id, "error": error })
            }
        });
    }

    /// Asks something and waits for the answer: a result, or an error in its place.
    pub(super) fn ask(&self, method: &str, params: &Value) -> Value {
        let (tell, told) = mpsc::channel();
        let id = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.0 += 1;
            let id = waiting.0;
            waiting.1.insert(id, tell);
            id
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        told.recv().unwrap_or_default()
    }

    /// Hears an answer.
    pub(super) fn hear(&self, mut answer: Value) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = answer["id"].as_u64().and_then(|id| waiting.1.remove(&id));
        if let Some(asked) = asked {
            let part = if answer["error"].is_null() { "result" } else { "error" };
            let _ = asked.send(answer[part].take());
        }
    }

    fn send(&self, message: &Value) {
        // A client that is gone needs no telling: the input ends, too.
        let _ = self.write(&format!("{message}\n"));
    }
}
