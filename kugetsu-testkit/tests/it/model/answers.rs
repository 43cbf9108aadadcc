use super::caller::{Caller, Heard, check};
use kugetsu_testkit::model::{Role, ScriptedModel};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_message_without_a_script_gets_a_friendly_answer() {
    check("Good morning.", &[r#""Hello! All is well here." stop"#]).await;
}

#[tokio::test]
async fn each_step_is_one_answer_and_then_the_script_is_done() {
    let prompt =
        "Rules first.\nMODEL: bash ls\nSome words.\n  MODEL: tool glob {\"pattern\":\"*\"}";
    check(
        prompt,
        &[
            r#"bash{"command":"ls","description":"Runs a scripted command"} tool_calls"#,
            r#"glob{"pattern":"*"} tool_calls"#,
            r#""done" stop"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn steps_may_share_a_line_and_a_text_goes_along_with_the_call_after_it() {
    check(
        "MODEL: say I write it. ;; write a/b.txt two\\nlines ;; say bye",
        &[
            r#""I write it." write{"content":"two\nlines\n","filePath":"a/b.txt"} tool_calls"#,
            r#""bye" stop"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn calls_may_be_parallel() {
    check(
        "MODEL: tool a {} ;; also b {\"x\":1} ;; also write f g ;; also bash {\"command\":\"ls\"}",
        &[
            r#"a{} b{"x":1} write{"content":"g\n","filePath":"f"} bash{"command":"ls"} tool_calls"#,
            r#""done" stop"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn the_conveniences_are_calls_of_opencodes_tools() {
    check(
        "MODEL: edit a.txt old text => new ;; commit it's done ;; ask /etc/hostname",
        &[
            r#"edit{"filePath":"a.txt","newString":"new","oldString":"old text"} tool_calls"#,
            r#"bash{"command":"git add -A && git commit -m 'it'\\''s done'","description":"Runs a scripted command"} tool_calls"#,
            r#"read{"filePath":"/etc/hostname"} tool_calls"#,
            r#""done" stop"#,
        ],
    )
    .await;
    check(
        "MODEL: question Shall I?",
        &[
            r#"question{"questions":[{"header":"Question","options":[{"description":"Go on","label":"Yes"},{"description":"Stop here","label":"No"}],"question":"Shall I?"}]} tool_calls"#,
            r#""done" stop"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_script_in_quotation_marks_or_in_a_list_is_a_script() {
    for prompt in [
        "\"MODEL: say \\\"hi\\\"\"",
        "> MODEL: say \"hi\"",
        "`MODEL: say \"hi\"`",
        "- MODEL: say \"hi\"",
    ] {
        check(prompt, &[r#""\"hi\"" stop"#]).await;
    }
}

#[tokio::test]
async fn a_script_within_a_script_has_one_semicolon_more() {
    check(
        "MODEL: bash run 'MODEL: say a ;;; bash run \"MODEL: say b ;;;; say c\"' ;; say d",
        &[
            r#"bash{"command":"run 'MODEL: say a ;; bash run \"MODEL: say b ;;; say c\"'","description":"Runs a scripted command"} tool_calls"#,
            r#""d" stop"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn broken_arguments_are_sent_as_they_are() {
    check("MODEL: tool bash {\"command\": ", &["bash{\"command\": tool_calls", r#""done" stop"#])
        .await;
}

#[tokio::test]
async fn modifiers_change_the_usage_and_the_finish_reason() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: usage 7 8 ;; finish length ;; sleep 0 ;; say x");
    let heard = caller.ask().await;
    assert_eq!(heard.finish.as_deref(), Some("length"));
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15});
    assert_eq!(heard.usage, usage);
    assert!(heard.done);
}

#[tokio::test]
async fn thinking_is_not_saying() {
    let model = ScriptedModel::start().await.unwrap();
    let heard = Caller::new(&model, "s", "MODEL: think Hm.").ask().await;
    assert_eq!((heard.reasoning.as_str(), heard.text.as_str()), ("Hm.", ""));
}

#[tokio::test]
async fn slow_words_come_one_by_one() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: stream 3 1");
    let mut response = caller.send(true).await.unwrap();
    let mut all = String::new();
    let mut arrivals = 0;
    while let Some(bytes) = response.chunk().await.unwrap() {
        all += std::str::from_utf8(&bytes).unwrap();
        arrivals += 1;
    }
    assert!(arrivals >= 3, "{arrivals} arrivals");
    assert_eq!(Heard::read(&all).text, "word0 word1 word2 ");
}

#[tokio::test]
async fn a_flood_has_as_many_bytes_as_asked_for() {
    let model = ScriptedModel::start().await.unwrap();
    let heard = Caller::new(&model, "s", "MODEL: flood 3000001").ask().await;
    assert_eq!(heard.text.len(), 3_000_001);
    assert!(heard.chunks > 2000);
}

#[tokio::test]
async fn eight_megabytes_arrive_whole() {
    let model = ScriptedModel::start().await.unwrap();
    let prompt = format!("MODEL: echo\n{}", "äöü\u{1}\t".repeat(1 << 20));
    let heard = Caller::new(&model, "s", &prompt).ask().await;
    assert!(heard.text.starts_with(&format!("bytes={} fnv1a=", prompt.len())), "{}", heard.text);
    assert_eq!(model.requests()[0].prompt(), prompt);
}

#[tokio::test]
async fn the_echo_is_the_published_hash() {
    let model = ScriptedModel::start().await.unwrap();
    let mut caller = Caller::new(&model, "s", "");
    caller.messages = vec![json!({"role": "user", "content": [
        {"type": "text", "text": "MODEL: echo"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "text", "text": "b"},
    ]})];
    assert_eq!(caller.ask().await.text, "bytes=13 fnv1a=4a9e30e91b0d9749");
}

#[tokio::test]
async fn history_tells_what_the_conversation_holds() {
    let model = ScriptedModel::start().await.unwrap();
    let mut caller = Caller::new(&model, "s", "First\nthing.\nMODEL: bash ls ;; say ok");
    caller.turn().await;
    caller.say("Second thing.\nMODEL: say ok");
    caller.turn().await;
    caller.say("MODEL: history");
    assert_eq!(
        caller.ask().await.text,
        "users=3 assistants=3 tools=1 first=First thing. MODEL: bash ls ;; say ok \
         earlier=First thing. MODEL: bash ls ;; say ok | Second thing. MODEL: say ok"
    );
}

#[tokio::test]
async fn call_ids_occur_once_in_a_conversation_and_repeat_with_it() {
    let model = ScriptedModel::start().await.unwrap();
    let script = "MODEL: bash a ;; also bash a ;; bash a ;; also bash a";
    let mut runs = vec![];
    for _ in 0..2 {
        let mut caller = Caller::new(&model, "s", script);
        let mut ids = vec![];
        for _ in 0..2 {
            ids.extend(caller.turn().await.into_iter().flat_map(|heard| heard.calls));
            caller.say(script);
        }
        let ids: Vec<String> = ids.into_iter().map(|(id, ..)| id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 8, "{ids:?}");
        runs.push(ids);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn without_streaming_the_answer_is_one_document() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: say hi ;; bash ls ;; also tool x {}");
    let answer: Value = caller.send(false).await.unwrap().json().await.unwrap();
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["content"], "hi");
    assert_eq!(message["tool_calls"][1]["function"]["name"], "x");
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert!(answer["usage"]["total_tokens"].is_u64());
}

#[tokio::test]
async fn a_title_is_answered_beside_the_record() {
    let model = ScriptedModel::start().await.unwrap();
    let mut caller = Caller::new(&model, "s", "MODEL: hang");
    caller.messages[0]["content"] = "You are a title generator. You output ONLY a title.".into();
    assert_eq!(caller.ask().await.text, "Scripted title");
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_refused_with_the_reason() {
    let model = ScriptedModel::start().await.unwrap();
    for (script, reason) in [
        ("wirte a b", "there is no directive `wirte`"),
        ("write a", "the directive `write` is written `write PATH TEXT`"),
        ("edit a b c", "the directive `edit` is written `edit PATH OLD => NEW`"),
        ("http teapot", "the directive `http` is written `http CODE [TIMES [RETRY_AFTER]]`"),
        ("also bash ls", "the directive `also` needs a tool call before it"),
        ("sleep long", "the directive `sleep` is written `sleep SECONDS`"),
    ] {
        let response =
            Caller::new(&model, "s", &format!("MODEL: {script}")).send(true).await.unwrap();
        assert_eq!(response.status(), 400);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["error"]["message"], format!("kugetsu-model: {reason}"));
    }
}

#[tokio::test]
async fn the_other_endpoints_answer() {
    let model = ScriptedModel::start().await.unwrap();
    let get = async |url: String| reqwest::get(url).await.unwrap();
    let models: Value = get(format!("{}/models", model.base_url())).await.json().await.unwrap();
    assert_eq!(models["data"][0]["id"], "model");
    let health = format!("http://127.0.0.1:{}/health", model.port());
    let health: Value = get(health).await.json().await.unwrap();
    assert_eq!(health, json!({"ok": true, "requests": 0, "in_flight": 0, "most_in_flight": 0}));
    assert_eq!(get(format!("{}/nothing", model.base_url())).await.status(), 404);
}

#[tokio::test]
async fn the_record_keeps_what_was_asked() {
    let model = ScriptedModel::start().await.unwrap();
    Caller::new(&model, "ses_a", "MODEL: bash ls ;; say fine").turn().await;
    let requests = model.wait_for_ended(2).await;
    let directives: Vec<&str> = requests.iter().map(|r| r.directive.as_str()).collect();
    assert_eq!(directives, ["bash ls", "say fine"]);
    assert_eq!(requests[1].session.as_deref(), Some("ses_a"));
    assert_eq!((requests[1].step, requests[1].model.as_str()), (1, "model"));
    let roles: Vec<Role> = requests[1].messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
}
