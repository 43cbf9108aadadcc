//! A repository's own code does not run inside of opencode.

use std::fs;
use std::path::Path;

use kugetsu_core::agent::{Conversation, NewAgentSession, RunRequest};
use kugetsu_core::{AgentError, AgentRunner as _, Retry};
use kugetsu_opencode::Engine;

use crate::fixture::Fixture;

/// Code that shows that it ran.
fn canary(worktree: &Path, trace: &Path) {
    let plugin = worktree.join(".opencode/plugin");
    fs::create_dir_all(&plugin).unwrap();
    let code = format!(
        "import fs from \"fs\"; fs.writeFileSync('{}', 'ran'); export default async () => ({{}})",
        trace.display()
    );
    fs::write(plugin.join("e.js"), code).unwrap();
}

fn is_refusal(error: &AgentError) -> bool {
    let told = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    error.retry() == Retry::Never && told.contains(".opencode/plugin")
}

async fn neither_new_nor_known_sessions_run_it(engine: Engine) {
    let fixture = Fixture::of(engine).await;
    let sessions = fixture.runner.sessions().unwrap();
    let (worktree, trace) = (fixture.worktree("one"), fixture.path().join("trace"));
    let said = fixture.run(RunRequest::new(&worktree, "MODEL: say hi")).await;
    assert!(said.is_done(), "{said:?}");
    let known = said.session();

    canary(&worktree, &trace);
    let new = NewAgentSession::new(&worktree, "one");
    assert!(is_refusal(&sessions.create(&new).await.unwrap_err()));
    assert!(is_refusal(&sessions.fork(&known, &new).await.unwrap_err()));
    sessions.describe(&known).await.unwrap();
    for conversation in [Conversation::Fresh, Conversation::Resume(known)] {
        let request = RunRequest::new(&worktree, "MODEL: say hi").with_conversation(conversation);
        assert!(is_refusal(&fixture.runner.start(request).await.unwrap_err()));
    }
    assert!(!trace.exists(), "it ran all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_refused_before_anything_looks_at_it() {
    neither_new_nor_known_sessions_run_it(Engine::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_refused_by_a_process_each_too() {
    neither_new_nor_known_sessions_run_it(Engine::Run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_repository_runs_its_plugins() {
    let fixture = Fixture::with(|config| config.with_project_config(true)).await;
    let (worktree, trace) = (fixture.worktree("one"), fixture.path().join("trace"));
    canary(&worktree, &trace);
    let said = fixture.run(RunRequest::new(&worktree, "MODEL: say hi")).await;
    assert!(said.is_done(), "{said:?}");
    assert!(trace.exists(), "the canary has no teeth");
}
