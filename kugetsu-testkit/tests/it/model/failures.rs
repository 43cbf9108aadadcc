use super::caller::{Caller, Heard, check};
use kugetsu_testkit::model::{Ended, ScriptedModel};
use reqwest::header::RETRY_AFTER;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn an_http_error_happens_as_often_as_it_should_and_is_then_passed_over() {
    let model = ScriptedModel::start().await.unwrap();
    let script = "MODEL: bash ls ;; http 429 2 7 ;; http 500 1 ;; say at last";
    for session in ["ses_a", "ses_b"] {
        let mut caller = Caller::new(&model, session, script);
        let first = caller.ask().await;
        caller.messages.push(serde_json::json!({"role": "assistant", "content": first.text}));
        for status in [429, 429, 500] {
            let response = caller.send(true).await.unwrap();
            assert_eq!(response.status(), status);
            let retry_after =
                response.headers().get(RETRY_AFTER).map(|time| time.to_str().unwrap());
            assert_eq!(retry_after, (status == 429).then_some("7"));
        }
        assert_eq!(caller.ask().await.text, "at last");
    }
    let endings = model.wait_for_ended(10).await.into_iter().filter_map(|r| r.ended);
    assert_eq!(endings.filter(|ended| *ended == Ended::Refused(429)).count(), 4);
}

#[tokio::test]
async fn an_http_error_without_a_number_happens_for_ever() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: http 401 ;; say never");
    for _ in 0..5 {
        assert_eq!(caller.send(false).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn failures_happen_again_in_the_next_turn() {
    let model = ScriptedModel::start().await.unwrap();
    let mut caller = Caller::new(&model, "s", "MODEL: http 500 1 ;; say ok");
    for _ in 0..2 {
        assert_eq!(caller.send(true).await.unwrap().status(), 500);
        assert_eq!(caller.ask().await.text, "ok");
        caller.say("MODEL: http 500 1 ;; say ok");
    }
}

#[tokio::test]
async fn a_failure_until_a_gate_is_open_happens_in_each_turn_and_then_no_more() {
    let model = ScriptedModel::start().await.unwrap();
    let script = "MODEL: until paid ;; http 429 9 3600 ;; say ok";
    let mut caller = Caller::new(&model, "s", script);
    for _ in 0..2 {
        assert_eq!(caller.send(true).await.unwrap().status(), 429);
        caller.say(script);
    }
    model.open("paid");
    assert_eq!(caller.ask().await.text, "ok");
}

#[tokio::test]
async fn a_caller_that_leaves_a_silent_model_is_noticed() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: hang");
    let asking = tokio::spawn(async move { caller.send(true).await.map(drop) });
    assert_eq!(model.wait_for_in_flight(1).await[0].directive, "hang");
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(model.wait_for_ended(1).await[0].ended, Some(Ended::CallerWentAway));
    assert_eq!(model.in_flight(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_in_mid_answer_is_noticed() {
    let model = ScriptedModel::start().await.unwrap();
    for (n, script) in ["hangmid", "stream 9999999 5", "flood 999999999999"].into_iter().enumerate()
    {
        let caller = Caller::new(&model, "s", &format!("MODEL: {script}"));
        let mut response = caller.send(true).await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        drop((response, caller));
        let requests = model.wait_for_ended(n + 1).await;
        assert_eq!(requests[n].ended, Some(Ended::CallerWentAway), "{script}");
    }
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let model = ScriptedModel::start().await.unwrap();
    let body = r#"{"messages":[{"role":"user","content":"MODEL: reset"}]}"#;
    let length = body.len();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", model.port())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = stream.read_to_end(&mut vec![]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(model.wait_for_ended(1).await[0].ended, Some(Ended::Broken));
}

#[tokio::test]
async fn a_cut_breaks_the_connection_and_then_the_next_step_follows() {
    let model = ScriptedModel::start().await.unwrap();
    let caller = Caller::new(&model, "s", "MODEL: cut 1 ;; say whole");
    let mut response = caller.send(true).await.unwrap();
    assert_eq!(response.status(), 200);
    let end = loop {
        match response.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err());
    assert_eq!(caller.ask().await.text, "whole");
}

#[tokio::test]
async fn an_unfinished_answer_ends_in_order_but_without_a_reason() {
    let model = ScriptedModel::start().await.unwrap();
    let response = Caller::new(&model, "s", "MODEL: unfinished").send(true).await.unwrap();
    let heard = Heard::read(&response.text().await.unwrap());
    assert!(!heard.text.is_empty());
    assert_eq!((heard.finish, heard.done), (None, false));
}

#[tokio::test]
async fn garbage_is_not_json() {
    let model = ScriptedModel::start().await.unwrap();
    for stream in [true, false] {
        let response = Caller::new(&model, "s", "MODEL: garbage").send(stream).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.text().await.unwrap();
        let data = body.trim_start_matches("data: ").lines().next().unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(data).is_err());
    }
}

#[tokio::test]
async fn a_spent_failure_at_the_end_leaves_the_script_done() {
    check(
        "MODEL: bash ls ;; http 500 0",
        &[
            r#"bash{"command":"ls","description":"Runs a scripted command"} tool_calls"#,
            r#""done" stop"#,
        ],
    )
    .await;
}
