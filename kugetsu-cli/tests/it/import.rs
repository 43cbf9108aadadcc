//! `import`: what a bash version has left.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use kugetsu_cli::Terminals;
use kugetsu_testkit::sandbox::SampleRepository;
use serde_json::{Value, json};

use crate::desk::{Desk, ISSUE, desk, initialised};

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
    // Its own settings have lines that nobody may run.
    write(&old, "config", "MAX_CONCURRENT_AGENTS=5\n");
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

/// What a fixture is to be told as: fate, what, a part of the name, a part of the note.
type Told = (&'static str, &'static str, &'static str, &'static str);

/// Files, and what an import says of them. Whatever is not named here may be told, too.
struct Fixture {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    told: Vec<Told>,
}

fn fixture(
    name: &'static str,
    files: impl IntoIterator<Item = (&'static str, &'static str)>,
    told: impl IntoIterator<Item = Told>,
) -> Fixture {
    let files = files.into_iter().map(|(path, text)| (path, text.as_bytes().to_vec())).collect();
    Fixture { name, files, told: told.into_iter().collect() }
}

const DEV: &str = "sessions/x.json";
const TASK: &str = "queue/items/q_1.json";
const NOTICES: &str = "notifications.json";

// A table is as long as it is.
#[allow(clippy::too_many_lines)]
fn session_fixtures() -> Vec<Fixture> {
    let whole = |name, text: &'static str| {
        let told = ("imported", "issue", "example.com/a/b#1", "conversation ses_abc");
        fixture(name, [(DEV, text)], [told])
    };
    let skipped = |name, text: &'static str, why: &'static str| {
        fixture(name, [(DEV, text)], [("skipped", "session", DEV, why)])
    };
    vec![
        whole("as it was", r#"{"issue_ref":"example.com/a/b#1","opencode_session_id":"ses_abc"}"#),
        whole("session_id", r#"{"issue_ref":"example.com/a/b#1","session_id":"ses_abc"}"#),
        whole("sessionId", r#"{"issueRef":"example.com/a/b#1","sessionId":"ses_abc"}"#),
        whole("issue", r#"{"issue":"https://example.com/a/b/issues/1","id":"ses_abc"}"#),
        whole("unknown fields", r#"{"ref":"example.com/a/b#1","x":{"y":[1]},"z":"ses_abc"}"#),
        whole(
            "a null permission",
            r#"{"ref":"example.com/a/b#1","permission":null,"z":"ses_abc"}"#,
        ),
        whole("CRLF", "{\r\n\"ref\":\"example.com/a/b#1\",\r\n\"session\":\"ses_abc\"}\r\n"),
        whole("a mark", "\u{feff}{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}"),
        whole("a tail", "{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}}}\0\0"),
        whole("twice", "{\"ref\":\"example.com/a/b#1\",\"session\":\"ses_abc\"}{\"ref\":1}"),
        whole("spaces", "{\"ref\":\" example.com/a/b#1 \",\"session\":\" ses_abc\"}"),
        whole(
            "wrong types beside",
            r#"{"ref":"example.com/a/b#1","pr_url":[],"created_at":{},"q":"ses_abc"}"#,
        ),
        whole(
            "the first of a key",
            r#"{"ref":"example.com/a/b#2","ref":"example.com/a/b#1","s":"ses_abc"}"#,
        ),
        skipped("empty", "", "it is empty"),
        skipped("white space", " \n", "it is empty"),
        skipped("cut short", "{\"issue_ref\": \"exa", "it is no JSON"),
        skipped("an array", "[1]", "it is no JSON object"),
        skipped("a number", "7", "it is no JSON object"),
        skipped("no issue", "{\"session\":\"ses_abc\"}", "does not say which issue"),
        skipped("a bad reference", "{\"ref\":\"#7\"}", "no reference to an issue"),
        skipped("a way out", "{\"ref\":\"../../x/y#1\"}", "no reference to an issue"),
        skipped("an option", "{\"ref\":\"example.com/a/-b#1\"}", "no reference to an issue"),
        skipped("issue of a wrong type", "{\"ref\":[7]}", "does not say which issue"),
        fixture(
            "a session id that hides something",
            [(DEV, r#"{"ref":"example.com/a/b#1","session":"ses_x;rm"}"#)],
            [("imported", "issue", "example.com/a/b#1", "no conversation of it is known")],
        ),
        fixture(
            "the issue by the file's name",
            [("sessions/example.com-a-b-1.json", "{\"session\":\"ses_abc\"}")],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "the same with its older name",
            [("sessions/example.com-a-b#1.json", "{\"session\":\"ses_abc\"}")],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "a name that two issues could have",
            [("sessions/example.com-a-b-c-1.json", "{}")],
            [("skipped", "session", "a-b-c-1", "does not say which issue")],
        ),
        fixture(
            "two of one issue",
            [
                ("sessions/a.json", r#"{"ref":"example.com/a/b#1"}"#),
                ("sessions/b.json", r#"{"ref":"example.com/a/b#1"}"#),
            ],
            [("skipped", "session", "sessions/b.json", "sessions/a.json is of it")],
        ),
        fixture(
            "the base and the PM",
            [
                ("index.json", r#"{"base":"ses_b","pm_agent":"ses_p"}"#),
                ("sessions/base.json", "{}"),
                ("sessions/pm-agent.json", "{}"),
            ],
            [
                ("skipped", "session", "base (ses_b)", "init"),
                ("skipped", "session", "pm_agent (ses_p)", "init"),
            ],
        ),
        fixture(
            "the oldest kind",
            [("sessions/work/state", "idle"), ("sessions/work/message", "m")],
            [("skipped", "session", "sessions/work", "names no issue")],
        ),
        fixture(
            "no session file",
            [("sessions/x.json.bak", "{}")],
            [("skipped", "session", "x.json.bak", "no session file")],
        ),
        fixture(
            "an index alone",
            [("index.json", r#"{"issues":{"example.com/a/b#1":"gone.json"}}"#)],
            [("imported", "issue", "example.com/a/b#1", "no conversation")],
        ),
        fixture(
            "a flat index of ids",
            [("index.json", r#"{"base":null,"example.com/a/b#1":"ses_abc"}"#)],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index of records",
            [(
                "index.json",
                r#"{"sessions":[{"issue_ref":"example.com/a/b#1","session_id":"ses_abc"}]}"#,
            )],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index that names the file",
            [
                ("index.json", r#"{"issues":{"example.com/a/b#1":"sessions/x.json"}}"#),
                (DEV, r#"{"session":"ses_abc"}"#),
            ],
            [("imported", "issue", "example.com/a/b#1", "ses_abc")],
        ),
        fixture(
            "an index that is none",
            [("index.json", "[]"), (TASK, r#"{"message":"m"}"#)],
            [
                ("skipped", "index", "index.json", "no JSON object"),
                ("imported", "task", "q_1", "the PM"),
            ],
        ),
        fixture(
            "a worktree of the session's",
            [
                (DEV, r#"{"ref":"example.com/a/b#1","worktree_path":"/elsewhere/worktrees/mine"}"#),
                ("worktrees/mine/a", ""),
            ],
            [("imported", "issue", "example.com/a/b#1", "from worktrees/mine")],
        ),
        fixture(
            "a worktree that leads out",
            [(DEV, r#"{"ref":"example.com/a/b#1","worktree_path":"/etc/.."}"#)],
            [("imported", "issue", "example.com/a/b#1", "without a worktree")],
        ),
        fixture(
            "one worktree of two issues",
            [
                (
                    "sessions/1.json",
                    r#"{"ref":"example.com/a/b-c#1","worktree":"example.com-a-b-c-1"}"#,
                ),
                (
                    "sessions/2.json",
                    r#"{"ref":"example.com/a-b/c#1","worktree":"example.com-a-b-c-1"}"#,
                ),
                ("worktrees/example.com-a-b-c-1/a", ""),
            ],
            [("skipped", "worktree", "of example.com/a-b/c#1", "two issues shared one worktree")],
        ),
        fixture(
            "a worktree without a session",
            [
                ("worktrees/example.com-a-b-1/a", ""),
                ("worktrees/x y/a", ""),
                ("sessions/z.json", ""),
            ],
            [
                ("imported", "issue", "example.com/a/b#1", "worktrees/example"),
                ("skipped", "worktree", "x y", "no session says"),
            ],
        ),
    ]
}

#[allow(clippy::too_many_lines)]
fn other_fixtures() -> Vec<Fixture> {
    let task = |name, text: &'static str, told: Told| fixture(name, [(TASK, text)], [told]);
    let notice = |name, text: &'static str, told: Told| {
        fixture(name, [(NOTICES, text), ("index.json", "{}")], [told])
    };
    let beside =
        |name, path, text, told: Told| fixture(name, [(path, text), ("index.json", "{}")], [told]);
    let skipped = |why| ("skipped", "task", TASK, why);
    vec![
        task(
            "for an issue",
            r#"{"issue_ref":"example.com/a/b#1","message":"m","state":"notified"}"#,
            ("imported", "task", "q_1", "for example.com/a/b#1"),
        ),
        task(
            "for nobody",
            r#"{"issue_ref":null,"message":"m","state":"pending","created":1774872000}"#,
            ("imported", "task", "q_1", "for the PM"),
        ),
        task("no state", r#"{"msg":"m"}"#, ("imported", "task", "q_1", "for the PM")),
        task(
            "completed",
            r#"{"message":"m","state":"completed"}"#,
            skipped("it is over (completed)"),
        ),
        task("failed", r#"{"message":"m","status":"error"}"#, skipped("it is over (error)")),
        task("a strange state", r#"{"message":"m","state":"\u001b[2J"}"#, skipped("is not known")),
        task("no message", r#"{"message":"  ","state":"pending"}"#, skipped("it has no message")),
        task("a message of a wrong type", r#"{"message":[1]}"#, skipped("it has no message")),
        task(
            "a bad issue",
            r##"{"message":"m","issue_ref":"#14"}"##,
            skipped("no reference to an issue"),
        ),
        task("empty", "", skipped("it is empty")),
        task("cut short", r#"{"message":"m"#, skipped("it is no JSON")),
        task("a list", "[]", skipped("it is no JSON object")),
        fixture(
            "asked for twice",
            [(TASK, r#"{"message":"m"}"#), ("queue/items/q_2.json", r#"{"message":"m"}"#)],
            [("skipped", "task", "q_2", "the same as q_1")],
        ),
        fixture(
            "no task file",
            [("queue/items/q_1.json.tmp", "{}")],
            [("skipped", "task", "q_1.json.tmp", "no task file")],
        ),
        notice(
            "a list",
            r#"[{"type":"task_error","message":"m"},{"type":"task_queued","message":"n"}]"#,
            ("imported", "notices", NOTICES, "2 notices"),
        ),
        notice(
            "lines",
            "{\"type\":\"task_error\",\"message\":\"m\"}\r\n{\"kind\":\"blocked\",\"text\":\"n\"}\r\n",
            ("imported", "notices", NOTICES, "2 notices"),
        ),
        notice(
            "an object",
            r#"{"notifications":[{"type":"task_complete","message":"m"}]}"#,
            ("imported", "notices", NOTICES, "1 notice"),
        ),
        notice(
            "a strange type",
            r#"[{"type":"party","message":"m"}]"#,
            ("skipped", "notice", "number 1", "\"party\" is not known"),
        ),
        notice(
            "cut short",
            "[{\"type\":\"task_error\",\"message\":\"m\"}",
            ("skipped", "notices", NOTICES, "no JSON"),
        ),
        notice(
            "lines, cut short",
            "{\"type\":\"task_error\",\"message\":\"m\"}\n{\"ty",
            ("imported", "notices", NOTICES, "1 notice"),
        ),
        notice("empty", "", ("skipped", "notices", NOTICES, "it is empty")),
        beside(
            "variables",
            "env/default.env",
            "export A_TOKEN=\"x\"\r\n",
            ("imported", "env file", "env/default.env", ""),
        ),
        beside(
            "no variables",
            "env/pm-agent.env",
            "# a\n",
            ("skipped", "env file", "pm-agent", "no variables"),
        ),
        beside(
            "a name that hides",
            "env/.x.env",
            "A=1\n",
            ("skipped", "env file", "env/.x.env", "no env file"),
        ),
        beside(
            "a name with a space",
            "env/my agent.env",
            "A=1\n",
            ("skipped", "env file", "my agent", "no env file"),
        ),
        beside(
            "an env file of nothing",
            "env/default.env",
            "",
            ("skipped", "env file", "default", "it is empty"),
        ),
        beside(
            "settings",
            "config",
            "# a\nexport MAX_CONCURRENT_AGENTS=\"4\"\r\n",
            ("imported", "settings", "config", "1 of them"),
        ),
        beside(
            "an unknown setting",
            "config",
            "\nMAX_AGENTS=4\n",
            ("skipped", "setting", "config:2", "no setting \"MAX_AGENTS\""),
        ),
        beside(
            "a command",
            "config",
            "TASK_TIMEOUT_HOURS=$(rm -rf x)\n",
            ("skipped", "setting", "config:1", "not executed"),
        ),
        beside(
            "a wrong value",
            "config",
            "MAX_CONCURRENT_AGENTS=many\n",
            ("skipped", "setting", "config:1", "MAX_CONCURRENT_AGENTS"),
        ),
        beside(
            "a repository",
            "repos.json",
            r#"{"example.com/a/b":"git@example.com:a/b.git"}"#,
            ("imported", "repository", "example.com/a/b", ""),
        ),
        beside(
            "a repository's record",
            "repos.json",
            r#"{"example.com/a/b":{"url":"https://example.com/a/b"}}"#,
            ("imported", "repository", "example.com/a/b", ""),
        ),
        beside(
            "a password",
            "repos.json",
            r#"{"example.com/a/b":"https://me:hunter22@example.com/a/b"}"#,
            ("skipped", "repository", "example.com/a/b", "password"),
        ),
        beside(
            "a program",
            "repos.json",
            r#"{"example.com/a/b":"ext::sh -c x"}"#,
            ("skipped", "repository", "example.com/a/b", "no address"),
        ),
        beside(
            "an option",
            "repos.json",
            r#"{"example.com/a/b":"--upload-pack=x"}"#,
            ("skipped", "repository", "example.com/a/b", "like an option"),
        ),
        beside(
            "no list",
            "repos.json",
            "[]",
            ("skipped", "repositories", "repos.json", "no JSON object"),
        ),
    ]
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
