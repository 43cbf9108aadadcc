//! Whatever a server answers, nobody panics.

use kugetsu_core::{Forge as _, IssueTracker as _};
use kugetsu_forge::{ForgeClient, ForgeKind, Token};
use kugetsu_testkit::fake::{FakeForge, ForgeApi, ForgeFault};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

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
    let answers = (0..RECORDED.len(), 0..200_usize, any::<u8>(), any::<bool>());
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
        let config = Config { failure_persistence: None, ..Config::with_cases(150) };
        let mut runner = TestRunner::new(config);
        let ran = runner.run(&answers, |(which, at, byte, cut)| {
            let mut text = RECORDED[which].as_bytes().to_vec();
            let at = at % text.len();
            if cut {
                text.truncate(at);
            } else {
                text[at] = byte;
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            for _ in 0..3 {
                server.fail_next(ForgeFault::Answer(200, Vec::new(), text.clone()));
            }
            runtime.block_on(async {
                let _ = client.fetch(&issue).await;
                let _ = client.pull_request(&pull).await;
            });
            Ok(())
        });
        ran.unwrap();
    }
}
