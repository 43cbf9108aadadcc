//! `import`: what a bash version has left.

mod fixtures;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use kugetsu_cli::Terminals;
use kugetsu_testkit::sandbox::SampleRepository;
use serde_json::{Value, json};

use crate::desk::{Desk, ISSUE, desk, initialised};
use fixtures::{Fixture, other_fixtures, session_fixtures};

const STEM: &str = "example.com-acme-widgets-7";

/// Everything in a directory: what is in it, when it was changed, and its mode.
pub(crate) fn fingerprint(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, i64, i64, u32)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let about = path.symlink_metadata().unwrap();
        let content = if about.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if about.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if about.is_file() {
            fs::read(&path).unwrap()
        } else {
            // A pipe would never end.
            Vec::new()
        };
        found.insert(path, (content, about.mtime(), about.mtime_nsec(), about.mode()));
    }
    found
}

fn write(directory: &Path, inside: &str, text: impl AsRef<[u8]>) {
    let path = directory.join(inside);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A directory as a bash version leaves it: two issues, one of them with a worktree that hangs off a
/// clone beside it, a queue, notices, variables and settings.
fn old_directory(desk: &Desk, old: &Path) {
    let origin = SampleRepository::at(&desk.path("origin")).unwrap();
    let clone = desk.path("old-clone");
    if !clone.exists() {
        origin.git(&["clone", "--quiet", ".", clone.to_str().unwrap()]).unwrap();
    }
    let clone = SampleRepository::at(&clone).unwrap();
    for (name, value) in [("user.name", "Old"), ("user.email", "old@example.invalid")] {
        clone.git(&["config", name, value]).unwrap();
    }
    let tree = old.join("worktrees").join(STEM);
    fs::create_dir_all(tree.parent().unwrap()).unwrap();
    clone.git(&["worktree", "add", "-q", "-b", "fix/issue-7", tree.to_str().unwrap()]).unwrap();
    let tree = SampleRepository::at(&tree).unwrap();
    tree.commit("done.txt", "committed\n", "first half").unwrap();
    fs::write(tree.path().join("README.md"), "# Changed\n").unwrap();
    fs::write(tree.path().join("new file.txt"), "not added\n").unwrap();
    write(
        old,
        "index.json",
        json!({
            "base": "ses_base1", "pm_agent": "ses_pm1",
            "issues": { ISSUE: format!("{STEM}.json") },
        })
        .to_string(),
    );
    write(
        old,
        &format!("sessions/{STEM}.json"),
        json!({
            "type": "forked", "issue_ref": ISSUE, "opencode_session_id": "ses_old7",
            "worktree_path": tree.path(), "branch_name": "fix/issue-7", "state": "idle",
            "pr_url": "https://example.com/acme/widgets/pull/9",
            "created_at": "2026-03-30T12:00:00+00:00", "permission": null,
        })
        .to_string(),
    );
    write(old, "sessions/base.json", r#"{"type":"base","opencode_session_id":"ses_base1"}"#);
    write(old, "sessions/pm-agent.json", r#"{"type":"pm","opencode_session_id":"ses_pm1"}"#);
    let item = |state: &str, issue: Option<&str>, message: &str| {
        json!({ "issue_ref": issue, "message": message, "state": state,
                "created_at": "2026-03-30T12:00:00Z" })
        .to_string()
    };
    write(old, "queue/items/q_1.json", item("pending", None, "work on issue #7"));
    write(old, "queue/items/q_2.json", item("notified", Some(ISSUE), "add tests\n  to \"it\""));
    write(old, "queue/items/q_3.json", item("completed", Some(ISSUE), "over"));
    write(old, "queue/items/q_4.json", item("pending", None, "work on issue #7"));
    write(
        old,
        "notifications.json",
        json!([
            { "type": "task_complete", "message": "#7 complete.", "issue_ref": ISSUE,
              "timestamp": "2026-03-30T12:00:00Z", "read": true },
            { "type": "task_blocked", "message": "Which colour?", "issue_ref": ISSUE,
              "timestamp": "2026-03-30T13:00:00Z", "read": false },
        ])
        .to_string(),
    );
    write(old, "env/default.env", "export GITEA_TOKEN=\"hunter22\"\nexport NAME='a b'\n");
    write(old, "env/pm-agent.env", "# nothing\n");
    write(old, "config", "MAX_CONCURRENT_AGENTS=5\nif true; then\nCOLOUR=red\n");
    write(old, "repos.json", json!({ "example.com/acme/widgets": origin.path() }).to_string());
    write(old, "logs/delegate-1.log", "a log\n");
}

#[test]
fn a_whole_directory_is_imported_once_and_stays_as_it_was() {
    let desk = desk();
    let old = desk.path("old");
    old_directory(&desk, &old);
    desk.run(&["init"]).done();
    let before = (fingerprint(&old), fingerprint(&desk.path("old-clone")));
    let seen = desk.transcript(&[
        &["import", "../old", "--dry-run"],
        &["list"],
        &["import", "../old"],
        &["import", "../old"],
        &["list"],
        &["notify", "list"],
        &["queue", "list"],
    ]);
    assert_eq!(before, (fingerprint(&old), fingerprint(&desk.path("old-clone"))));
    assert!(!seen.contains("hunter22"), "{seen}");
    desk.assert("import", &seen);
    let tree = SampleRepository::at(&desk.worktree()).unwrap();
    assert_eq!(tree.git(&["branch", "--show-current"]).unwrap(), "fix/issue-7");
    assert_eq!(tree.subjects("HEAD").unwrap(), ["first half", "start"]);
    assert_eq!(tree.git(&["status", "--porcelain"]).unwrap(), "M  README.md\nA  \"new file.txt\"");
    assert_eq!(fs::read_to_string(tree.path().join("README.md")).unwrap(), "# Changed\n");
    assert!(fs::read_to_string(desk.kugetsu("env/default.env")).unwrap().contains("hunter22"));
    assert_eq!(fs::read_to_string(desk.kugetsu("config")).unwrap(), "MAX_CONCURRENT_AGENTS=5\n");
}

#[test]
fn where_the_bash_version_was_its_worktree_becomes_ours() {
    let desk = desk();
    let old = desk.kugetsu("");
    old_directory(&desk, &old);
    for name in ["env/default.env", "env/pm-agent.env"] {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(old.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let mut before = fingerprint(&old);
    let clone = fingerprint(&desk.path("old-clone"));
    let seen = desk.transcript(&[&["init"], &["import"], &["import"], &["list"]]);
    desk.assert("import-in-place", &seen);
    assert_eq!(clone, fingerprint(&desk.path("old-clone")));
    let after = fingerprint(&old);
    let link = before.remove(&old.join("worktrees").join(STEM).join(".git")).unwrap();
    before.retain(|path, _| path.is_file());
    for (path, was) in before {
        assert_eq!(after.get(&path), Some(&was), "{}", path.display());
    }
    assert_eq!(after[&old.join(format!("worktrees/.{STEM}.before"))], link);
    let tree = SampleRepository::at(&desk.worktree()).unwrap();
    assert_eq!(tree.subjects("HEAD").unwrap(), ["first half", "start"]);
    assert_eq!(tree.git(&["status", "--porcelain"]).unwrap(), "M README.md\n?? \"new file.txt\"");
    let ran = desk.run(&["continue", ISSUE, "MODEL: write more.txt m ;; commit more ;; say done"]);
    assert_eq!(ran.code, 2, "its own task comes first: {}", ran.shown());
    assert!(ran.err.contains("`kugetsu queue cancel`"), "{}", ran.shown());
    assert!(!ran.err.contains("kugetsu stop"), "nobody works on it: {}", ran.shown());
    let open = desk.run(&["queue", "list", "--json"]).json();
    for task in open["tasks"].as_array().unwrap() {
        desk.run(&["queue", "cancel", task["id"].as_str().unwrap()]).done();
    }
    desk.run(&["continue", ISSUE, "MODEL: write more.txt m ;; commit more ;; say done"]).done();
    assert!(tree.subjects("HEAD").unwrap().contains(&"more".to_owned()));
}

#[test]
fn init_offers_it_where_a_bash_version_was() {
    let person = Terminals { input: true, output: false, error: true };
    for answer in ["y\n", "n\n"] {
        let desk = desk();
        write(&desk.path("home/.kugetsu"), "index.json", "{}");
        write(&desk.path("home/.kugetsu"), "notifications.json", r#"{"type":"task_error"}"#);
        let asked = desk.run_with(&["init"], answer.as_bytes(), person).done();
        assert!(asked.err.contains("Take its issues over? [y/N]"), "{}", asked.err);
        assert_eq!(asked.out.contains("1 skipped"), answer == "y\n", "{}", asked.out);
        assert_eq!(asked.err.contains("kugetsu import ~/.kugetsu"), answer == "n\n");
    }
    let desk = desk();
    write(&desk.kugetsu(""), "queue/items/q_1.json", "{}");
    let told = desk.run(&["init"]).done();
    assert!(told.err.contains("`kugetsu import "), "{}", told.err);
}

#[test]
fn what_is_no_bash_versions_directory_is_refused() {
    let desk = initialised();
    fs::create_dir(desk.path("empty")).unwrap();
    write(&desk.path("json"), "journal.jsonl", "{}\n");
    write(&desk.path("json"), "index.json", "{}");
    let seen = desk.transcript(&[
        &["import", "../nowhere"],
        &["import", "../empty"],
        &["import", "../json"],
        &["import"],
    ]);
    desk.assert("import-refused", &seen);
    let new = crate::desk::desk();
    write(&new.path("old"), "index.json", "{}");
    assert_eq!(new.run(&["import", "../old"]).code, 78);
    new.run(&["import", "../old", "--dry-run"]).done();
    assert!(!new.kugetsu("kugetsu.db").exists());
}

#[test]
fn each_of_sixty_directories_is_told_as_it_is_and_none_is_changed() {
    let desk = initialised();
    let all: Vec<Fixture> = session_fixtures().into_iter().chain(other_fixtures()).collect();
    assert!(all.len() >= 60, "{}", all.len());
    for (number, fixture) in all.iter().enumerate() {
        let inside = format!("old-{number}");
        let old = desk.path(&inside);
        fs::create_dir(&old).unwrap();
        for (path, bytes) in &fixture.files {
            write(&old, path, bytes);
        }
        let before = fingerprint(&old);
        let ran = desk.run(&["import", "--dry-run", "--json", &format!("../{inside}")]).done();
        assert_eq!(before, fingerprint(&old), "{}", fixture.name);
        assert!(!ran.out.contains("hunter22"), "{}", ran.out);
        let told = ran.json();
        let lines = told["lines"].as_array().unwrap();
        for (fate, what, name, note) in &fixture.told {
            let is_it = |line: &&Value| {
                line["fate"] == *fate
                    && line["what"] == *what
                    && line["name"].as_str().unwrap().contains(name)
                    && line["note"].as_str().unwrap().contains(note)
            };
            assert_eq!(
                lines.iter().filter(is_it).count(),
                1,
                "{}: {fate} {what} {name} {note}: {told:#}",
                fixture.name
            );
        }
    }
    // Nothing of all that was done.
    assert!(desk.run(&["queue", "list", "--json"]).json()["tasks"].as_array().unwrap().is_empty());
}

#[test]
fn an_issue_of_which_nothing_is_left_is_no_more_imported_than_it_is_said_to_be() {
    let desk = initialised();
    let index = r#"{"issues":{"example.com/a/b#1":"gone.json"}}"#;
    write(&desk.path("old"), "index.json", index);
    let [would, did] =
        [&["import", "../old", "--dry-run", "--json"][..], &["import", "../old", "--json"]]
            .map(|words| desk.run(words).done().json()["lines"].clone());
    assert_eq!(would, did);
    assert_eq!(did[0]["fate"], "skipped", "{did:#}");
    assert!(!desk.kugetsu("worktrees/example.com-a-b-1").exists());
}

#[test]
fn links_pipes_and_large_files_are_left_alone() {
    let desk = initialised();
    let old = desk.path("old");
    let secret = desk.path("secret");
    write(&secret, "x.json", r#"{"issue_ref":"example.com/a/b#1","message":"m"}"#);
    write(&secret, "env/default.env", "export X=1\n");
    fs::create_dir_all(old.join("sessions")).unwrap();
    symlink(secret.join("x.json"), old.join("sessions/x.json")).unwrap();
    fs::create_dir_all(old.join("queue")).unwrap();
    symlink(&secret, old.join("queue/items")).unwrap();
    symlink(secret.join("env"), old.join("env")).unwrap();
    symlink(&secret, old.join("worktrees")).unwrap();
    symlink("index.json", old.join("index.json")).unwrap();
    let pipe = old.join("notifications.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let large = fs::File::create(old.join("repos.json")).unwrap();
    large.set_len(9 * 1024 * 1024).unwrap();
    let told = desk.run(&["import", "../old", "--json"]).done().json();
    assert_eq!(told["imported"], 0, "{told:#}");
    let notes: Vec<_> = told["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            format!("{}: {}", line["name"].as_str().unwrap(), line["note"].as_str().unwrap())
        })
        .collect();
    let link = "it is a link, or lies behind one, and is not followed";
    assert_eq!(
        notes,
        [
            "repos.json: it is larger than 8 MiB".to_owned(),
            format!("index.json: {link}"),
            format!("sessions/x.json: {link}"),
            "notifications.json: it is no file".to_owned(),
        ]
    );
}

#[test]
fn whatever_is_in_the_files_nothing_breaks_and_nothing_is_changed() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    let desk = initialised();
    let old = desk.path("old");
    let names = [
        "index.json",
        "sessions/a.json",
        "sessions/example.com-a-b-1.json",
        "queue/items/q_1.json",
        "notifications.json",
        "repos.json",
        "config",
        "env/default.env",
    ];
    let whole = [
        r#"{"base":"ses_b","issues":{"example.com/a/b#1":"a.json","example.com/a/b#2":{"session_id":"ses_a"}}}"#,
        r#"{"issue_ref":"example.com/a/b#1","opencode_session_id":"ses_abc","worktree_path":"/x/y"}"#,
        r#"{"issue_ref":"example.com/a/b#2","message":"m","state":"pending","created_at":1.5e300}"#,
        r#"[{"type":"task_error","message":"m","timestamp":"2026-03-30T12:00:00Z"}]"#,
        "export A=\"b\"\nMAX_CONCURRENT_AGENTS=4\n",
    ];
    let text =
        (0..whole.len(), proptest::collection::vec((any::<u16>(), any::<u8>(), 0..4u8), 0..6))
            .prop_map(move |(which, changes)| {
                let mut bytes = whole[which].as_bytes().to_vec();
                for (at, byte, how) in changes {
                    let at = usize::from(at) % (bytes.len() + 1);
                    match how {
                        0 => bytes.truncate(at),
                        1 => bytes.insert(at, byte),
                        2 if at < bytes.len() => bytes[at] = byte,
                        _ => {
                            let tail = bytes[at..].to_vec();
                            bytes.extend(tail);
                        }
                    }
                }
                bytes
            });
    let files = proptest::collection::vec((0..names.len(), text), 1..6);
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&files, |files| {
            fs::create_dir(&old).unwrap();
            write(&old, "index.json", "{}");
            for (name, text) in files {
                write(&old, names[name], text);
            }
            let before = fingerprint(&old);
            let ran = desk.run(&["import", "../old", "--dry-run", "--json"]);
            let after = fingerprint(&old);
            fs::remove_dir_all(&old).unwrap();
            prop_assert_eq!(ran.code, 0, "{}", ran.shown());
            prop_assert!(ran.json()["lines"].is_array());
            prop_assert_eq!(before, after);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_runs_here_is_no_other_directorys_to_say() {
    let desk = initialised();
    write(&desk.path("old"), "index.json", "{}");
    let program = desk.path("old/evil");
    let lines = [
        format!("export KUGETSU_OPENCODE=\"{}\"", program.display()),
        "KUGETSU_AGENT=command:x".into(),
        "KUGETSU_TRUST_PROJECT_CONFIG=yes".into(),
        "KUGETSU_INHERIT_VARIABLES='AWS_*'".into(),
        "KUGETSU_TRUSTED_AUTHORS=stranger".into(),
        "KUGETSU_STORE=json".into(),
        "KUGETSU_WORKTREES=other".into(),
        "KUGETSU_PM_TASK_ALLOWANCE=1000".into(),
        "KUGETSU_BASE_BRANCH=dev".into(),
    ];
    write(&desk.path("old"), "config", lines.join("\n"));
    let seen = desk.transcript(&[&["import", "../old"]]);
    desk.assert("import-of-programs", &seen);
    assert_eq!(fs::read_to_string(desk.kugetsu("config")).unwrap(), "KUGETSU_BASE_BRANCH=dev\n");
}
