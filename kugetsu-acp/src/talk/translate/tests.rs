use serde_json::json;

use super::super::inbox;
use super::*;

/// What these updates of one session tell, a line each.
fn told(used: Used, updates: &[Value]) -> (Vec<String>, Translator) {
    let mut translator = Translator::new("s", used);
    let mut events = Vec::new();
    for update in updates {
        let line = json!({
            "jsonrpc": "2.0", "method": "session/update",
            "params": { "sessionId": "s", "update": update },
        });
        events.extend(translator.read(inbox::read(&line.to_string()).unwrap()));
    }
    events.extend(translator.flush());
    (events.iter().map(|event| serde_json::to_string(event).unwrap()).collect(), translator)
}

fn says(text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

fn thinks(text: &str) -> Value {
    json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": text}})
}

#[test]
fn pieces_of_a_line_are_told_as_one_and_thoughts_are_no_words() {
    let (events, turn) = told(
        Used::default(),
        &[thinks("h"), thinks("mm"), says("one"), says(" line\ntwo"), says(" lines"), says("\n\n")],
    );
    let expected = [
        r#"{"type":"thought","data":{"text":"hmm"}}"#,
        r#"{"type":"message","data":{"text":"one line\n"}}"#,
        r#"{"type":"message","data":{"text":"two lines\n\n"}}"#,
    ];
    assert_eq!(events, expected);
    assert!(turn.said_anything());
    assert!(!told(Used::default(), &[thinks("alone"), says(" \n")]).1.said_anything());
}

#[test]
fn a_tool_is_told_when_it_is_known_what_for_and_once() {
    let (events, _) = told(
        Used::default(),
        &[
            json!({"sessionUpdate": "tool_call", "toolCallId": "c", "title": "bash",
                "kind": "execute", "status": "pending", "locations": [{"path": "/w"}],
                "rawInput": {"cwd": "/w"}}),
            says("meanwhile"),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "kind": "execute",
                "status": "in_progress", "title": "echo out; exit 3", "rawInput": {"command": "x"}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress",
                "content": [{"type": "content", "content": {"type": "text", "text": "out\n"}}]}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed",
                "rawOutput": {"output": "out\n", "metadata": {"exit": 3}}}),
            json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"}),
            json!({"sessionUpdate": "tool_call", "toolCallId": "d", "title": "Write a.txt",
                "kind": "edit", "status": "completed",
                "content": [{"type": "diff", "path": "/w/a.txt", "newText": "x"}]}),
            json!({"sessionUpdate": "tool_call", "toolCallId": "e", "title": "x", "name": "Read",
                "status": "failed", "rawOutput": {"error": "no\nsuch\nfile"}}),
        ],
    );
    let expected = [
        r#"{"type":"message","data":{"text":"meanwhile"}}"#,
        r#"{"type":"tool_started","data":{"call":"c","tool":"bash","title":"echo out; exit 3"}}"#,
        r#"{"type":"tool_ended","data":{"call":"c","tool":"bash","ok":false,"summary":"out"}}"#,
        r#"{"type":"tool_started","data":{"call":"d","tool":"edit","title":"Write a.txt"}}"#,
        r#"{"type":"tool_ended","data":{"call":"d","tool":"edit","ok":true,"summary":""}}"#,
        r#"{"type":"tool_started","data":{"call":"e","tool":"Read","title":"x"}}"#,
        r#"{"type":"tool_ended","data":{"call":"e","tool":"Read","ok":false,"summary":"no · such"}}"#,
    ];
    assert_eq!(events, expected);
}

#[test]
fn usage_is_told_as_what_it_is_more_than_before() {
    let used = |used: u64, cost: Value| json!({"sessionUpdate": "usage_update", "used": used, "size": 9, "cost": cost});
    let dollars = |amount: f64| json!({"amount": amount, "currency": "USD"});
    let (events, turn) = told(
        Used { context: 100, cost_micros: 500 },
        &[
            used(150, dollars(0.001)),
            used(150, dollars(0.001)),
            used(0, dollars(0.001)),
            used(40, dollars(0.001)),
            used(45, json!(null)),
            used(45, json!({"amount": 99, "currency": "EUR"})),
            used(45, dollars(-1.0)),
        ],
    );
    let usage = |input, cost| {
        let mut usage = Usage::tokens(input, 0);
        usage.cost_micros = cost;
        serde_json::to_string(&AgentEvent::Usage(usage)).unwrap()
    };
    assert_eq!(events, [usage(50, 500), usage(5, 0)]);
    assert_eq!(turn.used(), Used { context: 45, cost_micros: 1000 });
}

#[test]
fn what_is_not_known_is_kept_and_what_is_for_editors_is_not() {
    let (events, turn) = told(
        Used::default(),
        &[
            json!({"sessionUpdate": "dance", "steps": [1, 2]}),
            json!({"sessionUpdate": "available_commands_update", "availableCommands": []}),
            json!({"sessionUpdate": "plan", "entries": []}),
            json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "x"}}),
            json!({"sessionUpdate": "tool_call", "title": "has no id"}),
        ],
    );
    let expected = [
        r#"{"type":"acp_dance","data":{"sessionUpdate":"dance","steps":[1,2]}}"#,
        r#"{"type":"acp_tool_call","data":{"sessionUpdate":"tool_call","title":"has no id"}}"#,
    ];
    assert_eq!(events, expected);
    assert!(!turn.said_anything());
    assert!(inbox::read(r#"{"method":"session/update","params":{"update":{}}}"#).is_none());
}

#[test]
fn a_refusal_counts_until_the_agent_goes_on() {
    let refused = |session: &str| Letter::Refused {
        session: session.into(),
        call: "c".into(),
        text: "read: /etc".into(),
    };
    let mut turn = Translator::new("s", Used::default());
    assert_eq!(turn.read(refused("s")).len(), 1);
    assert_eq!(turn.refused(), Some("read: /etc"));
    let update = serde_json::from_value(says("I go on.\n")).unwrap();
    turn.read(Letter::Update { session: "s".into(), update: Box::new(update) });
    assert_eq!(turn.refused(), None);
    // A sub-agent's refusal is for its agent to deal with, and is told all the same.
    assert_eq!(turn.read(refused("another")).len(), 1);
    assert_eq!(turn.refused(), None);
}
