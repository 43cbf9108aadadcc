//! A PM's agent: it changes nothing, whatever it tries, and is known by its label.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_core::agent::{AgentEvent, Role, RunRequest};
use kugetsu_opencode::{Engine, OpencodeConfig};
use kugetsu_testkit::model;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Told, until};

/// A program that says how it was called and by whom.
const PROGRAM: &str = "#!/bin/sh\necho \"called with: $*\"\necho \"in the tree: $KUGETSU_TREE\"\n";

/// A PM's runner, with that program as the one that it may run.
async fn pm(engine: Engine, place: &Path) -> Fixture {
    let program = place.join("kugetsu");
    fs::write(&program, PROGRAM).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let with = |config: OpencodeConfig| {
        config.with_engine(engine).with_label("pm:here").with_narrow_shell(program)
    };
    Fixture::with(with).await
}

/// Runs a script of tool calls in the directory, as a PM.
async fn tried(fixture: &Fixture, directory: &Path, calls: &[(&str, Value)]) -> Told {
    let lines: Vec<String> =
        calls.iter().map(|(tool, input)| format!("MODEL: tool {tool} {input}")).collect();
    let script = format!("{}\nMODEL: say that is all", lines.join("\n"));
    fixture.run(RunRequest::new(directory, script).with_role(Role::Pm)).await
}

fn bash(command: &str) -> (&'static str, Value) {
    ("bash", json!({ "command": command, "description": "Tries something" }))
}

/// Every file below the directory, with what is in it and its mode.
fn contents(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap().flatten() {
            let about = entry.path().symlink_metadata().unwrap();
            let text = if about.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            if about.is_dir() {
                open.push(entry.path());
            }
            found.insert(entry.path(), (about.permissions().mode(), text));
        }
    }
    found
}

/// Ways to change a file, or to read one that is none of its business.
fn attempts(home: &Path, worktree: &Path) -> Vec<(&'static str, Value)> {
    let theirs = |name: &str| worktree.join(name).to_str().unwrap().to_owned();
    let there = worktree.to_str().unwrap();
    vec![
        ("write", json!({ "filePath": home.join("canary"), "content": "x" })),
        ("write", json!({ "filePath": theirs("canary"), "content": "x" })),
        ("write", json!({ "filePath": "/tmp/kugetsu-canary", "content": "x" })),
        (
            "edit",
            json!({ "filePath": home.join("notes.md"), "oldString": "old", "newString": "new" }),
        ),
        (
            "edit",
            json!({ "filePath": theirs("tracked.txt"), "oldString": "old", "newString": "new" }),
        ),
        ("multiedit", json!({ "filePath": home.join("notes.md"), "edits": [] })),
        (
            "patch",
            json!({ "patchText": "*** Begin Patch\n*** Add File: canary\n+x\n*** End Patch" }),
        ),
        (
            "apply_patch",
            json!({ "patchText": "*** Begin Patch\n*** Add File: canary\n+x\n*** End Patch" }),
        ),
        (
            "task",
            json!({
                "description": "write", "subagent_type": "general",
                "prompt": "MODEL: write canary x\nMODEL: bash touch canary",
            }),
        ),
        bash("touch canary"),
        bash("> canary"),
        bash(": > canary"),
        bash("kugetsu list > canary"),
        bash("kugetsu list >> notes.md"),
        bash("{ kugetsu list; } > canary"),
        bash("( kugetsu list ) > canary"),
        bash("kugetsu list | cat > canary"),
        bash("kugetsu list | tee canary"),
        bash("kugetsu list && kugetsu list > canary"),
        bash("for i in 1; do kugetsu list; done > canary"),
        bash("kugetsu list; touch canary"),
        bash("kugetsu list\ntouch canary"),
        bash("kugetsu start x#1 \"$(touch canary)\""),
        bash("kugetsu start x#1 `touch canary`"),
        bash("kugetsu start x#1 - <<EOF > canary\nx\nEOF"),
        bash("ls; cp notes.md canary"),
        bash("PATH=. kugetsu list"),
        bash("f() { touch canary; }; f"),
        bash("X=$(touch canary)"),
        bash("[[ $(touch canary) ]]"),
        bash("kugetsu list <(touch canary)"),
        bash(&format!("git -C {there} diff --output={}", theirs("canary"))),
        bash(&format!("git -C {there} -c core.pager='touch canary' log")),
        bash("git log --output=canary"),
        bash("GIT_EXTERNAL_DIFF='touch canary' git diff"),
        bash(&format!("cd {there} && ls > canary")),
        bash("sh -c 'touch canary'"),
        bash("python3 -c 'open(\"canary\",\"w\")'"),
        bash("sed -i s/old/new/ notes.md"),
        bash("dd of=canary"),
        bash("cat /etc/passwd"),
        ("bash", json!({ "command": "ls > canary", "description": "x", "workdir": there })),
        ("read", json!({ "filePath": "/etc/passwd" })),
    ]
}

async fn whatever_it_tries_no_file_changes_and_it_is_told(engine: Engine) {
    let place = tempfile::tempdir().unwrap();
    let fixture = pm(engine, place.path()).await;
    let worktree = fixture.worktree("one");
    let home = fixture.path().join("pm-home").canonicalize().unwrap_or_else(|_| {
        fs::create_dir(fixture.path().join("pm-home")).unwrap();
        fixture.path().join("pm-home").canonicalize().unwrap()
    });
    fs::write(home.join("notes.md"), "old\n").unwrap();
    fs::write(worktree.join("tracked.txt"), "old\n").unwrap();
    let calls = attempts(&home, &worktree);
    let (before, theirs_before) = (contents(&home), contents(&worktree));
    let told = tried(&fixture, &home, &calls).await;
    assert!(told.is_done(), "{told:?}");
    let ends: Vec<(bool, &str)> = told
        .events
        .iter()
        .filter_map(|event| match event {
            // What the agent does not have at all becomes a call of this tool.
            AgentEvent::ToolEnded { tool, ok, summary, .. } => {
                Some((*ok && tool != "invalid", summary.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends.len(), calls.len(), "{told:#?}");
    for ((tool, input), (ok, said)) in calls.iter().zip(&ends) {
        assert!(!ok || said.contains("refused"), "{tool} {input}: {said}");
    }
    // The model heard of each: its last request has them all.
    let asked = fixture.model.requests();
    let heard = asked.last().unwrap().messages.iter().filter(|m| m.role == model::Role::Tool);
    assert_eq!(heard.count(), calls.len());
    assert_eq!(contents(&home), before);
    assert_eq!(contents(&worktree), theirs_before);
    assert!(!Path::new("/tmp/kugetsu-canary").exists());
    let everywhere = [fixture.path().to_owned(), fixture.home(), place.path().to_owned()];
    for file in everywhere.iter().flat_map(|place| contents(place).into_keys()) {
        assert!(!file.to_string_lossy().contains("canary"), "{}", file.display());
    }
    fixture.runner.shut_down().await;
}

async fn what_it_may_do_it_can_do(engine: Engine) {
    let place = tempfile::tempdir().unwrap();
    let fixture = pm(engine, place.path()).await;
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("notes.md"), "to be read\n").unwrap();
    let calls = [
        bash("kugetsu start --detach acme/widgets#1 'a -> b; $(c)'"),
        bash("cat notes.md"),
        bash("ls"),
        ("read", json!({ "filePath": home.path().join("notes.md") })),
    ];
    let told = tried(&fixture, home.path(), &calls).await;
    assert!(told.is_done(), "{told:?}");
    let ended =
        told.events.iter().filter(|event| matches!(event, AgentEvent::ToolEnded { ok: true, .. }));
    assert_eq!(ended.count(), calls.len(), "{told:#?}");
    let asked = fixture.model.requests();
    let heard = format!("{:?}", asked.last().unwrap().messages);
    assert!(heard.contains("called with: start --detach acme/widgets#1 a -> b; $(c)"), "{heard}");
    assert!(heard.contains("in the tree: pm:here"), "{heard}");
    assert!(heard.contains("to be read"), "{heard}");
    fixture.runner.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_pm_tries_no_file_changes_and_it_is_told() {
    whatever_it_tries_no_file_changes_and_it_is_told(Engine::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_pm_tries_by_a_process_of_its_own_no_file_changes_and_it_is_told() {
    whatever_it_tries_no_file_changes_and_it_is_told(Engine::Run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pm_may_do_it_can_do() {
    what_it_may_do_it_can_do(Engine::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_is_ended_and_the_next_run_has_another() {
    let fixture = Fixture::with(|mut config| {
        config.limits.idle = Duration::from_millis(300);
        config
    })
    .await;
    let directory = fixture.worktree("one");
    let servers = || {
        let trees = fs::read_dir(fixture.state().join("trees")).unwrap().flatten();
        trees.filter(|entry| entry.path().extension() == Some("json".as_ref())).count()
    };
    // Longer than a server may be idle.
    let told = fixture.run(RunRequest::new(&directory, "MODEL: sleep 1\nMODEL: say one")).await;
    assert!(told.is_done(), "{told:?}");
    until(|| servers() == 0).await;
    let told = fixture.run(RunRequest::new(&directory, "MODEL: say two")).await;
    assert!(told.is_done(), "{told:?}");
    fixture.runner.shut_down().await;
    assert_eq!(servers(), 0);
}
