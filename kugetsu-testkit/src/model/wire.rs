use super::answer::{Completion, Ending, Text};
use super::call::Call;
use super::play::Beat;
use serde_json::{Value, json};
use std::iter;
use std::time::Duration;

const CHUNK: usize = 1024;
const SENTENCE: &str = "The scripted model has a lot to say. ";

/// The completion as server-sent events.
pub(super) fn streamed(completion: Completion) -> Box<dyn Iterator<Item = Beat> + Send> {
    if completion.ending == Ending::Garbage {
        return Box::new([event("{this is not JSON"), event("[DONE]")].into_iter());
    }
    let Completion { id, model, reasoning, text, calls, finish, usage, ending } = completion;
    let calls: Vec<Part> = called(&id, calls)
        .enumerate()
        .map(|(index, mut call)| {
            call["index"] = index.into();
            Part::Delta(json!({"tool_calls": [call]}))
        })
        .collect();
    let chunk = move |choices: Value| {
        json!({
            "id": format!("chatcmpl-{id}"), "object": "chat.completion.chunk", "created": 0,
            "model": model, "choices": choices,
        })
    };
    let last = match ending {
        Ending::Proper => {
            let finished = chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}]));
            let mut used = chunk(json!([]));
            used["usage"] = tokens(usage);
            vec![event(&finished.to_string()), event(&used.to_string()), event("[DONE]")]
        }
        Ending::Unfinished | Ending::Garbage => vec![],
        Ending::Never => vec![Beat::Never],
        Ending::Cut => vec![Beat::Flush, Beat::Break],
    };
    let thought = (!reasoning.is_empty()).then(|| json!({"reasoning_content": reasoning}));
    let parts = iter::once(Part::Delta(json!({"role": "assistant", "content": ""})))
        .chain(thought.map(Part::Delta))
        .chain(spoken(text))
        .chain(calls);
    let beats = parts.map(move |part| match part {
        Part::Rest(time) => Beat::Rest(time),
        Part::Delta(delta) => {
            let choice = json!([{"index": 0, "delta": delta, "finish_reason": null}]);
            event(&chunk(choice).to_string())
        }
    });
    Box::new(beats.chain(last))
}

/// The completion as one JSON document.
pub(super) fn whole(completion: Completion) -> Box<dyn Iterator<Item = Beat> + Send> {
    let Completion { id, model, reasoning, text, calls, finish, usage, ending } = completion;
    let mut said = String::new();
    let mut rest = Duration::ZERO;
    for part in spoken(text) {
        match part {
            Part::Rest(time) => rest += time,
            Part::Delta(delta) => said.push_str(delta["content"].as_str().unwrap_or_default()),
        }
    }
    let mut message = json!({"role": "assistant", "content": said});
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    let calls: Vec<Value> = called(&id, calls).collect();
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let finish = (ending == Ending::Proper).then_some(finish);
    let document = json!({
        "id": format!("chatcmpl-{id}"), "object": "chat.completion", "created": 0, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": tokens(usage),
    })
    .to_string();
    let half = document[..20].to_owned();
    let beats = match ending {
        Ending::Proper | Ending::Unfinished => vec![Beat::Rest(rest), send(document)],
        Ending::Never => vec![send(half), Beat::Never],
        Ending::Cut => vec![send(half), Beat::Flush, Beat::Break],
        Ending::Garbage => vec![send("{this is not JSON".to_owned())],
    };
    Box::new(beats.into_iter())
}

/// A piece of a streamed answer.
enum Part {
    Delta(Value),
    Rest(Duration),
}

/// The text in pieces, made as they are needed.
fn spoken(text: Text) -> Box<dyn Iterator<Item = Part> + Send> {
    let say = |piece: String| Part::Delta(json!({"content": piece}));
    match text {
        Text::Whole(text) => Box::new(pieces(&text).into_iter().map(say)),
        Text::Slow { words, every } => {
            Box::new((0..words).flat_map(move |n| [say(format!("word{n} ")), Part::Rest(every)]))
        }
        Text::Flood { bytes } => {
            let block: String = SENTENCE.chars().cycle().take(CHUNK).collect();
            let sizes = (0..bytes).step_by(CHUNK).map(move |sent| CHUNK.min(bytes - sent));
            Box::new(sizes.map(move |size| say(block[..size].to_owned())))
        }
    }
}

/// A few words each in a short text, larger pieces in a long one.
fn pieces(text: &str) -> Vec<String> {
    let size = if text.len() > 4 * CHUNK { CHUNK } else { 24 };
    let mut pieces = vec![];
    let mut piece = String::new();
    for c in text.chars() {
        piece.push(c);
        if piece.len() >= size {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

/// Calls with ids that occur once in a conversation, and are the same when it is repeated.
fn called(id: &str, calls: Vec<Call>) -> impl Iterator<Item = Value> {
    calls.into_iter().enumerate().map(move |(index, call)| {
        json!({
            "id": format!("call_{id}_{index}"), "type": "function",
            "function": {"name": call.tool, "arguments": call.arguments},
        })
    })
}

fn tokens((input, output): (u64, u64)) -> Value {
    json!({
        "prompt_tokens": input, "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
    })
}

fn event(data: &str) -> Beat {
    send(format!("data: {data}\n\n"))
}

fn send(text: String) -> Beat {
    Beat::Send(text.into())
}
