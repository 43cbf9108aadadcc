//! What is the matter with sessions and processes that something else has left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use kugetsu_core::AgentSessionId;
use kugetsu_core::agent::{AgentSessions as _, Conversation, NewAgentSession, Role, RunRequest};
use kugetsu_opencode::{Engine, Wrong};
use kugetsu_testkit::sandbox::opencode_program;

use crate::fixture::{BOUND, Fixture};

/// Does something to opencode's database, as another program would.
fn change(fixture: &Fixture, query: &str) -> String {
    let output = Command::new(opencode_program())
        .args(["db", query, "--format", "json"])
        .current_dir(fixture.path())
        .env_clear()
        .envs(fixture.env())
        .env("OPENCODE_DB", fixture.state().join("opencode.db"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn modes(state: &Path) -> Vec<u32> {
    let files = ["opencode.db", "opencode.db-wal", "opencode.db-shm"].map(|name| state.join(name));
    let found = files.iter().filter_map(|file| fs::metadata(file).ok());
    found.map(|found| found.permissions().mode() & 0o777).collect()
}

/// Bug 5 of the original: sessions with a NULL permission, in which headless agents reject
/// everything or wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn bug_5_a_session_without_permission_is_found_and_mended_and_waits_for_nobody() {
    let fixture = Fixture::new().await;
    let worktree = fixture.worktree("one");
    let mut sessions = Vec::new();
    for (title, role) in [("dev", Role::Dev), ("pm", Role::Pm), ("another", Role::Dev)] {
        let new = NewAgentSession::new(&worktree, title).with_role(role);
        sessions.push((fixture.runner.create(&new).await.unwrap().id, role));
    }
    let [dev, pm, another] = [0, 1, 2].map(|index| sessions[index].0.clone());
    sessions.push((AgentSessionId::new("ses_nothere00000000000000000000").unwrap(), Role::Dev));
    let modes = modes(&fixture.state());
    assert!(modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
    let told = fixture.runner.examine_permissions(&sessions).await.unwrap().unwrap();
    assert_eq!((told.sessions, told.wrong), (3, vec![]));

    // What the server can put right, and what it cannot even read.
    let asks = r#"[{"permission":"*","pattern":"*","action":"ask"}]"#;
    let query = format!(
        "update session set permission = case id when '{pm}' then '{asks}' when '{another}' then '[{{' end"
    );
    change(&fixture, &query);
    let found = fixture.runner.examine_permissions(&sessions).await.unwrap().unwrap();
    let is = |id| found.wrong.iter().find(|wrong| wrong.session == id).map(|wrong| &wrong.why);
    assert_eq!(is(dev.clone()), Some(&Wrong::Missing));
    assert_eq!(is(pm), Some(&Wrong::Asks("question".into())));
    assert_eq!(is(another), Some(&Wrong::Unreadable));
    let mended = fixture.runner.mend_permissions(&sessions).await.unwrap().unwrap();
    assert_eq!(mended, found, "looking has mended nothing");

    // And without a server; twice is once.
    change(&fixture, "update session set permission = null");
    let solo = fixture.another_runner_of(Engine::Run);
    for count in [3, 0] {
        let mended = solo.mend_permissions(&sessions).await.unwrap().unwrap();
        assert_eq!(mended.wrong.len(), count, "{mended:?}");
    }

    // A plain headless run of opencode itself, without anything of ours around it: nothing asks.
    let script = "MODEL: question which?\nMODEL: bash cat /etc/hostname\nMODEL: say went on";
    let mut plain = tokio::process::Command::new(opencode_program());
    plain.args(["run", "--format", "json", "--session", dev.as_str(), script]);
    let output = plain
        .current_dir(&worktree)
        .env_clear()
        .envs(fixture.env())
        .env("OPENCODE_DB", fixture.state().join("opencode.db"))
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(BOUND, output).await.expect("it waits for somebody").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("went on"), "{output:?}");
    // And a run of ours in it.
    let request = RunRequest::new(&worktree, script).with_conversation(Conversation::Resume(dev));
    let told = fixture.run(request).await;
    assert!(told.is_done() && told.text() == "went on", "{told:?}");
}
