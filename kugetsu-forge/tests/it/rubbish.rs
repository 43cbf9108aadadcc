//! Whatever a server answers, nobody panics.

use kugetsu_core::{Forge as _, IssueTracker as _, Proposal};
use kugetsu_forge::{ForgeClient, ForgeKind, Token};
use kugetsu_testkit::fake::{FakeForge, ForgeApi, ForgeFault};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::promises::TOKEN;

const RECORDED: [&str; 4] = [
    r#"{"number":1,"title":"t","body":"b","user":{"login":"ada"},"state":"open","author_association":"OWNER","pull_request":null}"#,
    r#"[{"id":1,"body":"b","user":{"login":"ada"},"created_at":"2026-01-02T03:04:05Z"}]"#,
    r#"{"number":1,"title":"t","state":"open","merged":false,"head":{"ref":"a"},"base":{"ref":"b"}}"#,
    r#"{"iid":1,"title":"t","state":"opened","source_branch":"a","target_branch":"b","source_project_id":3,"author":{"id":1,"username":"x"},"description":null}"#,
];

#[test]
fn whatever_is_answered_nobody_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = (0..RECORDED.len(), 0..200_usize, any::<u8>(), 0..3_u8);
    for (api, kind) in [
        (ForgeApi::GitHub, ForgeKind::GitHub),
        (ForgeApi::Gitea, ForgeKind::Gitea),
        (ForgeApi::GitLab, ForgeKind::GitLab),
    ] {
        let server = runtime.block_on(FakeForge::start(api, TOKEN)).unwrap();
        server.open_issue(1, "ada", "title", "text");
        let token = Some(Token::new(TOKEN));
        let client = ForgeClient::new(kind, server.url(), token).unwrap();
        let client = client.with_pause(std::time::Duration::ZERO);
        let issue = format!("{}/acme/widgets#1", server.host()).parse().unwrap();
        let pull = format!("{}/acme/widgets!1", server.host()).parse().unwrap();
        let repository = format!("{}/acme/widgets", server.host()).parse().unwrap();
        let wanted = Proposal::new(repository, "fix/1", "Mend it");
        let config = Config { failure_persistence: None, ..Config::with_cases(150) };
        let mut runner = TestRunner::new(config);
        let ran = runner.run(&answers, |(which, at, byte, way)| {
            let text = spoilt(RECORDED[which], at, byte, way);
            for _ in 0..6 {
                server.fail_next(ForgeFault::Answer(200, Vec::new(), text.clone()));
            }
            runtime.block_on(async {
                let _ = client.fetch(&issue).await;
                let _ = client.pull_request(&pull).await;
                let _ = client.comment(&issue, "key", "words").await;
                let _ = client.propose(&wanted).await;
            });
            Ok(())
        });
        ran.unwrap();
    }
}

/// The recorded answer cut off, with another byte, or with another value somewhere in it.
fn spoilt(recorded: &str, at: usize, byte: u8, way: u8) -> String {
    let mut text = recorded.as_bytes().to_vec();
    let place = at % text.len();
    match way {
        0 => text.truncate(place),
        1 => text[place] = byte,
        _ => {
            let others = [
                json!(null),
                json!(-1),
                json!(u64::MAX),
                json!(1e300),
                json!(""),
                json!("\u{0}\u{202e}"),
                json!([]),
                json!({}),
                json!(true),
            ];
            let mut document: Value = serde_json::from_str(recorded).unwrap();
            let mut left = at % 12;
            replace(&mut document, &mut left, &others[usize::from(byte) % others.len()]);
            return document.to_string();
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Puts the other value in the place of the one that comes after so many.
fn replace(value: &mut Value, left: &mut usize, other: &Value) {
    if *left == 0 {
        *value = other.clone();
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, left, other)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, left, other)),
        _ => {}
    }
}
