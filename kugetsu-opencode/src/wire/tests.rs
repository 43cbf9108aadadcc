//! Real lines of opencode 1.18.33, and what they mean.

use kugetsu_core::agent::{AgentEvent, Usage};

use super::{News, Status, Translator, read_event, read_line, read_log};

/// What is told of the first session of the events, and what is left to know at the end.
fn told(events: &str) -> (Vec<AgentEvent>, Translator) {
    let news: Vec<News> =
        events.lines().filter_map(|line| read_event(line).expect("JSON")).collect();
    let session = news.iter().find_map(News::session).expect("a session").to_owned();
    let ours = news.iter().find_map(|news| match news {
        News::Message { info, .. } if info.role == "user" => Some(info.id.clone()),
        _ => None,
    });
    let mut translator = Translator::new(session, ours);
    let mut events: Vec<AgentEvent> = news.iter().flat_map(|news| translator.read(news)).collect();
    events.extend(translator.flush());
    (events, translator)
}

/// The events in short.
fn short(events: &[AgentEvent]) -> Vec<String> {
    let short = events.iter().map(|event| match event {
        AgentEvent::Message { text } => format!("says {text}"),
        AgentEvent::Thought { text } => format!("thinks {text}"),
        AgentEvent::ToolStarted { tool, title, .. } => format!("uses {tool}: {title}"),
        AgentEvent::ToolEnded { tool, ok, summary, .. } => format!("used {tool} {ok}: {summary}"),
        AgentEvent::Usage(usage) => format!("used up {} {}", usage.input, usage.output),
        other => format!("{other:?}"),
    });
    short.collect()
}

#[track_caller]
fn check(events: &str, expected: &[&str]) -> Translator {
    let (events, translator) = told(events);
    assert_eq!(short(&events), expected);
    translator
}

macro_rules! events {
    ($name:literal) => {
        include_str!(concat!("../../tests/it/wire/", $name, ".events.jsonl"))
    };
}

#[test]
fn a_turn_is_told_once_and_in_order() {
    let turn = check(
        events!("tool-and-text"),
        &[
            "uses bash: commit it",
            "used bash true: /home/dev/wt",
            "used up 7708 1",
            "says w0 w1 w2 w3 w4",
            "used up 7787 5",
        ],
    );
    assert!(turn.said_anything());
    assert_eq!(turn.last_answer().unwrap().finish.as_deref(), Some("stop"));
}

#[test]
fn what_is_told_again_gives_no_second_event() {
    let once = events!("tool-and-text");
    let (first, _) = told(once);
    let (twice, _) = told(&format!("{once}{once}"));
    assert_eq!(twice, first);
}

#[test]
fn a_failure_is_told_by_the_answer() {
    for (events, name, status) in [
        (events!("unauthorized"), "APIError", Some(401)),
        (events!("garbage"), "UnknownError", None),
        (events!("aborted"), "MessageAbortedError", None),
    ] {
        let (_, turn) = told(events);
        let error = turn.last_answer().unwrap().error.clone().unwrap();
        assert_eq!((error.name.as_str(), error.data.status_code), (name, status));
    }
}

#[test]
fn an_empty_turn_says_nothing_and_a_thought_is_no_answer() {
    assert!(!check(events!("empty"), &["used up 7679 1"]).said_anything());
    assert!(!check(events!("think"), &["thinks hmm hmm", "used up 7684 1"]).said_anything());
}

#[test]
fn the_reason_of_the_end_is_known() {
    let (_, turn) = told(events!("length"));
    assert_eq!(turn.last_answer().unwrap().finish.as_deref(), Some("length"));
}

#[test]
fn a_retry_says_when() {
    let retry = events!("rate-limited").lines().filter_map(|line| read_event(line).unwrap());
    let retry: Vec<Status> = retry
        .filter_map(|news| match news {
            News::Status { status: status @ Status::Retry { .. }, .. } => Some(status),
            _ => None,
        })
        .collect();
    let [Status::Retry { attempt: 1, message, next }] = retry.as_slice() else {
        panic!("{retry:?}")
    };
    assert_eq!(message, "mock error 429");
    assert!(*next > 0);
}

#[test]
fn what_is_asked_is_told_in_words() {
    let asks = |events: &str| -> Vec<String> {
        let news = events.lines().filter_map(|line| read_event(line).unwrap());
        news.filter_map(|news| match news {
            News::Permission { ask, .. } => Some(ask.text()),
            News::Question { ask, .. } => Some(ask.text()),
            _ => None,
        })
        .collect()
    };
    assert_eq!(asks(events!("permission")), ["permission external_directory: /etc/*"]);
    assert_eq!(asks(events!("question")), ["question: which?"]);
    assert_eq!(asks(events!("denied")), [""; 0]);
}

#[test]
fn a_tool_that_was_refused_by_an_answer_is_remembered_and_one_by_a_rule_is_not() {
    let (_, turn) = told(events!("permission"));
    assert_eq!(turn.rejected(), Some("bash (x)"));
    let (events, turn) = told(events!("denied"));
    assert_eq!(turn.rejected(), None);
    assert!(events.iter().any(|event| matches!(event, AgentEvent::ToolEnded { ok: false, .. })));
}

#[test]
fn a_run_is_told_in_the_same_words() {
    let lines = include_str!("../../tests/it/wire/run.lines.jsonl");
    let news: Vec<News> = lines.lines().filter_map(|line| read_line(line).unwrap()).collect();
    let mut turn = Translator::new(news[0].session().unwrap(), None);
    let events: Vec<AgentEvent> = news.iter().flat_map(|news| turn.read(news)).collect();
    let said: Vec<String> = short(&events);
    assert!(said.contains(&"says one two".to_owned()), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("used bash true")), "{said:?}");
    let rejected = include_str!("../../tests/it/wire/run-rejected.lines.jsonl");
    for news in rejected.lines().filter_map(|line| read_line(line).unwrap()) {
        turn = Translator::new(news.session().unwrap(), None);
        turn.read(&news);
        if turn.rejected().is_some() {
            return;
        }
    }
    panic!("the refusal was not seen");
}

#[test]
fn what_is_not_known_is_skipped_and_what_is_not_json_is_an_error() {
    for unknown in [
        "{}",
        "[]",
        "1",
        r#"{"type":"something.new","properties":{}}"#,
        r#"{"type":"session.status","properties":{"sessionID":"s"}}"#,
        r#"{"type":"message.part.updated","properties":{"part":7}}"#,
        r#"{"payload":{"type":"sync","aggregateID":"x"}}"#,
        r#"{"payload":7}"#,
    ] {
        assert!(read_event(unknown).unwrap().is_none(), "{unknown}");
        assert!(read_line(unknown).unwrap().is_none(), "{unknown}");
    }
    assert!(read_event("{\"type\":").is_err());
    // A state that is not known is surely not idle.
    let status =
        r#"{"type":"session.status","properties":{"sessionID":"s","status":{"type":"new"}}}"#;
    let Ok(Some(News::Status { status, .. })) = read_event(status) else { panic!() };
    assert_eq!(status, Status::Unknown);
}

proptest::proptest! {
    /// No text whatsoever ends the reading.
    #[test]
    fn anything_can_be_read(
        kind in "[a-z.]{0,20}|message\\.(part\\.)?(updated|delta)|session\\.(status|idle|error|created)",
        properties in "\\{(\"(sessionID|part|info|status|error|id)\":(\"x\"|7|null|\\{\\}|\\[\\]),?){0,3}\\}|.{0,40}",
    ) {
        let line = format!(r#"{{"type":"{kind}","properties":{properties}}}"#);
        let mut turn = Translator::new("x", None);
        if let Ok(Some(news)) = read_event(&line) {
            turn.read(&news);
        }
        let _ = read_line(&line);
        turn.flush();
    }
}

#[test]
fn of_a_tools_input_only_what_is_understood_counts() {
    let part = |input: &str, metadata: &str| {
        format!(
            r#"{{"type":"tool_use","sessionID":"s","part":{{"id":"p","type":"tool","tool":"bash",
                "callID":"c","state":{{"status":"completed","input":{input},"output":"",
                "metadata":{metadata}}}}}}}"#
        )
    };
    for (input, metadata, expected) in [
        (
            r#"{"command":"ls","unheard":[1,{"of":"it"}]}"#,
            r#"{"exit":0}"#,
            ["uses bash: ls", "used bash true: "],
        ),
        (
            r#"{"command":7,"path":"a"}"#,
            r#"{"exit":1,"diff":"-"}"#,
            ["uses bash: a", "used bash false: "],
        ),
        (r#""ls""#, "[]", ["uses bash: ", "used bash true: "]),
        ("null", "null", ["uses bash: ", "used bash true: "]),
    ] {
        let news = read_line(&part(input, metadata)).unwrap().unwrap();
        assert_eq!(short(&Translator::new("s", None).read(&news)), expected, "{input}");
    }
}

#[test]
fn usage_is_whole_numbers() {
    let line = r#"{"type":"step_finish","sessionID":"s","part":{"id":"p","type":"step-finish","reason":"stop",
        "cost":0.00123,"tokens":{"input":5,"output":-1,"reasoning":2,"cache":{"read":3,"write":4}}}}"#;
    let mut turn = Translator::new("s", None);
    let events = turn.read(&read_line(line).unwrap().unwrap());
    let mut usage = Usage::tokens(5, 0);
    (usage.reasoning, usage.cache_read, usage.cache_write, usage.cost_micros) = (2, 3, 4, 1230);
    assert_eq!(events, [AgentEvent::Usage(usage)]);
}

#[test]
fn a_failing_provider_is_read_from_the_log() {
    let line = |small: bool| {
        format!(
            "timestamp=2026-11-26T18:11:09.773Z level=ERROR run=ee589ad6 message=\"stream error\" \
             providerID=scripted modelID=model session.id=ses_1 small={small} agent=build \
             mode=primary error.error=\"AI_APICallError: say \"please\"\""
        )
    };
    let Some(News::Failing { session, provider, message }) = read_log(&line(false)) else {
        panic!("{}", line(false))
    };
    assert_eq!((session.as_str(), provider.as_str()), ("ses_1", "scripted"));
    assert_eq!(message, r#"AI_APICallError: say "please""#);
    // A title that cannot be made hinders nobody.
    assert!(read_log(&line(true)).is_none());
    assert!(read_log("timestamp=1 level=ERROR message=failed").is_none());
}
