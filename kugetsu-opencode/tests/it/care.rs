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
    let known = |dev: &AgentSessionId, pm: &AgentSessionId| {
        vec![(dev.clone(), Role::Dev), (pm.clone(), Role::Pm)]
    };
    let nobody = AgentSessionId::new("ses_nothere00000000000000000000").unwrap();
    assert_eq!(fixture.runner.examine_permissions(&known(&nobody, &nobody)).await.unwrap(), None);

    let dev = fixture.runner.create(&NewAgentSession::new(&worktree, "dev")).await.unwrap().id;
    let new = NewAgentSession::new(&worktree, "pm").with_role(Role::Pm);
    let pm = fixture.runner.create(&new).await.unwrap().id;
    let mut sessions = known(&dev, &pm);
    sessions.push((nobody, Role::Dev));
    assert!(
        modes(&fixture.state()).iter().all(|mode| *mode == 0o600),
        "{:?}",
        modes(&fixture.state())
    );
    let told = fixture.runner.examine_permissions(&sessions).await.unwrap().unwrap();
    assert_eq!((told.sessions, told.wrong), (2, vec![]));

    // Once by the server, and once without one.
    for engine in [Engine::Server, Engine::Run] {
        let runner = fixture.another_runner_of(engine);
        change(&fixture, "update session set permission = null");
        let told = runner.examine_permissions(&sessions).await.unwrap().unwrap();
        assert_eq!(told.wrong.len(), 2, "{told:?}");
        assert!(told.wrong.iter().all(|wrong| wrong.why == Wrong::Missing), "{told:?}");
        let nulls = change(&fixture, "select id from session where permission is null");
        assert!(
            nulls.contains(dev.as_str()) && nulls.contains(pm.as_str()),
            "looking mends nothing"
        );
        let mended = runner.mend_permissions(&sessions).await.unwrap().unwrap();
        assert_eq!(mended.wrong.len(), 2, "{mended:?}");
        assert_eq!(
            change(&fixture, "select id from session where permission is null").trim(),
            "[]"
        );
        let told = runner.mend_permissions(&sessions).await.unwrap().unwrap();
        assert_eq!(told.wrong, [], "twice is once");
        runner.shut_down().await;
    }
    change(&fixture, &format!("update session set permission = '[{{' where id = '{dev}'"));
    let asks = r#"[{"permission":"*","pattern":"*","action":"ask"}]"#;
    change(&fixture, &format!("update session set permission = '{asks}' where id = '{pm}'"));
    let mended = fixture.runner.mend_permissions(&sessions).await.unwrap().unwrap();
    let mut why: Vec<_> = mended.wrong.iter().map(|wrong| &wrong.why).collect();
    why.sort_by_key(|why| format!("{why:?}"));
    assert_eq!(why, [&Wrong::Asks("question".into()), &Wrong::Unreadable]);

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
