//! Who waits for which answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::error::PluginError;
use crate::protocol::ErrorObject;

/// How many requests may be given up before the plugin has answered one of them.
const GIVEN_UP: usize = 256;

/// What came of a request.
pub(super) type Answer = Result<Value, Trouble>;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The plugin says why.
    Refused(ErrorObject),
    /// The plugin is no more.
    Over(PluginError),
}

/// Who waits for which answer of one process.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Answer>>,
    /// Requests whose answers nobody waits for.
    given_up: BTreeSet<u64>,
    /// Whether the process is being ended.
    ending: bool,
    over: Option<PluginError>,
}

/// A request that was made.
pub(super) struct Asked {
    pub(super) id: u64,
    /// How many had no answer yet when it was made.
    pub(super) ahead: u32,
    pub(super) answer: oneshot::Receiver<Answer>,
}

/// What a line from the plugin asks of us.
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// An answer to this request of its own, which we do not take.
    Request(Value),
}

impl Calls {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request, unless it is over.
    pub(super) fn ask(&self) -> Result<Asked, PluginError> {
        let mut state = self.state();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        state.last += 1;
        let (id, (tell, answer)) = (state.last, oneshot::channel());
        let ahead = state.waiting.len() + state.given_up.len();
        state.waiting.insert(id, tell);
        Ok(Asked { id, ahead: u32::try_from(ahead).unwrap_or(u32::MAX), answer })
    }

    /// Nobody waits for this answer any more. Whether it is worth telling the plugin.
    pub(super) fn give_up(&self, id: u64) -> bool {
        let mut state = self.state();
        let waited = state.waiting.remove(&id).is_some();
        if waited {
            state.given_up.insert(id);
        }
        waited
    }

    /// From now on every request ends so. The first reason stays.
    pub(super) fn end(&self, error: PluginError) {
        let waiting = {
            let mut state = self.state();
            let error = state.over.get_or_insert(error).clone();
            let waiting = std::mem::take(&mut state.waiting);
            waiting.into_values().map(move |tell| (tell, error.clone()))
        };
        for (tell, error) in waiting {
            let _ = tell.send(Err(Trouble::Over(error)));
        }
    }

    /// The process is being ended, so that nobody should ask it anything.
    pub(super) fn begin_to_end(&self) {
        self.state().ending = true;
    }

    /// Whether the process is being ended, or is over.
    pub(super) fn is_ending(&self) -> bool {
        self.state().ending
    }

    /// Why it is over, if it is.
    pub(super) fn over(&self) -> Option<PluginError> {
        self.state().over.clone()
    }

    /// Takes a line of the plugin's. The error says what is wrong with it.
    pub(super) fn hear(&self, line: &[u8]) -> Result<Heard, String> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(Heard::Nothing);
        }
        let message: Value = serde_json::from_slice(line).map_err(|error| {
            format!("it wrote a line that is no JSON ({error}): {}", shown(line))
        })?;
        let wrong = |why: &str| Err(format!("{why}: {}", shown(line)));
        let Value::Object(mut message) = message else {
            return wrong("it wrote a line that is no JSON object");
        };
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return wrong("it wrote a message without `\"jsonrpc\": \"2.0\"`");
        }
        let id = message.remove("id");
        if message.contains_key("method") {
            return Ok(id.map_or(Heard::Nothing, Heard::Request));
        }
        let Some(id) = id.as_ref().and_then(Value::as_u64) else {
            return wrong("it wrote an answer without the id of a request");
        };
        let answer = match (message.remove("result"), message.remove("error")) {
            (Some(result), None | Some(Value::Null)) => Ok(result),
            (None | Some(Value::Null), Some(error)) => match serde_json::from_value(error) {
                Ok(error) => Err(Trouble::Refused(error)),
                Err(error) => {
                    return wrong(&format!("it wrote an error that is none ({error})"));
                }
            },
            _ => return wrong("it wrote an answer without either a result or an error"),
        };
        self.answer(id, answer)
    }

    fn answer(&self, id: u64, answer: Answer) -> Result<Heard, String> {
        let tell = {
            let mut state = self.state();
            let tell = state.waiting.remove(&id);
            let was_given_up = state.given_up.remove(&id);
            if tell.is_none() && !was_given_up {
                return Err(format!(
                    "it answered the request {id}, which was not made or was answered before"
                ));
            }
            if state.given_up.len() > GIVEN_UP {
                return Err(format!(
                    "it has left more than {GIVEN_UP} cancelled requests unanswered"
                ));
            }
            tell
        };
        if let Some(tell) = tell {
            let _ = tell.send(answer);
        }
        Ok(Heard::Nothing)
    }
}

/// The beginning of a line, as it can be shown.
fn shown(line: &[u8]) -> String {
    let beginning = &line[..line.len().min(800)];
    let text: String = String::from_utf8_lossy(beginning)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    if line.len() > text.len() { format!("{text}…") } else { text }
}
