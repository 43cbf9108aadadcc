//! Worktrees by a plugin, in the whole command.

use std::path::{Path, PathBuf};
use std::process::Command;

use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;

use crate::desk::initialised;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/plugins/worktrees.py")
        .canonicalize()
        .unwrap()
}

fn configured(text: &str) -> (u8, String) {
    let desk = initialised();
    std::fs::write(desk.kugetsu("config.toml"), text).unwrap();
    let ran = desk.run(&["list"]);
    (ran.code, ran.err)
}

#[test]
fn what_is_wrong_with_a_plugins_table_is_told_with_its_line() {
    for (text, code, told) in [
        (
            "plugin = 1\n",
            78,
            "config.toml:1: plugin: it has to be a table for each, such as [plugin.NAME]",
        ),
        ("[plugin.\"a b\"]\n", 78, "config.toml:1: plugin.a b: a name has up to 40 letters"),
        ("[plugin.mine]\n", 78, "config.toml:1: plugin.mine: `program` is missing"),
        (
            "[plugin.mine]\nprogram = \"x\"\n",
            78,
            "config.toml:2: plugin.mine.program: it has to be a list",
        ),
        ("[plugin.mine]\nprogram = [\"./x\"]\n", 78, "has to be an absolute path, or a name"),
        (
            "[plugin.mine]\nprogram = [\"x\", 1]\n",
            78,
            "config.toml:2: plugin.mine.program: it has to be a text",
        ),
        (
            "[plugin.mine]\nprogram = [\"x\"]\ntimeout_seconds = 0\n",
            78,
            "config.toml:3: plugin.mine.timeout_seconds: it has to be a whole number from 1 to 86400",
        ),
        (
            "[plugin.mine]\nprogram = [\"x\"]\nfast = true\n",
            78,
            "config.toml:3: plugin.mine: a plugin has no `fast`",
        ),
    ] {
        let (found, err) = configured(text);
        assert!(found == code && err.contains(told), "{text}: {found} {err}");
    }
}

#[test]
fn a_plugin_that_is_not_there_is_told_by_its_name() {
    let (code, err) = configured("worktrees = \"plugin:mine\"\n");
    assert_eq!(code, 78);
    assert!(err.contains("there is no plugin \"mine\"") && err.contains("[plugin.NAME]"), "{err}");
    let (code, err) =
        configured("worktrees = \"plugin:mine\"\n[plugin.other]\nprogram = [\"x\"]\n");
    assert!(code == 78 && err.contains("there are: other"), "{err}");
    let (code, err) = configured("worktrees = \"plugin\"\n");
    assert!(code == 78 && err.contains("known are: git, plugin:<name>"), "{err}");
    let (code, err) =
        configured("worktrees = \"plugin:mine\"\n[plugin.mine]\nprogram = [\"no-such-program\"]\n");
    assert_eq!(code, 69, "{err}");
    assert!(
        err.contains("the plugin mine cannot be started: there is no program no-such-program"),
        "{err}"
    );
}

/// Commands of the real program, since a test cannot be the guard of what it starts.
#[test]
fn the_worktrees_are_the_plugins() {
    let home = TempDir::new().unwrap();
    let root = home.path().canonicalize().unwrap();
    let kugetsu = root.join("kugetsu");
    for directory in ["env", "home", "slots", "queue", "state", "logs", "worktrees", "repos"] {
        std::fs::create_dir_all(kugetsu.join(directory)).unwrap();
    }
    let source = SampleRepository::new(&root.join("origin")).unwrap();
    let list = serde_json::json!({ "example.com/acme/widgets": source.path() });
    std::fs::write(kugetsu.join("repos.json"), list.to_string()).unwrap();
    let settings = format!(
        "worktrees = \"plugin:mine\"\n[plugin.mine]\nprogram = [\"python3\", \"{}\"]\n",
        sample().display()
    );
    std::fs::write(kugetsu.join("config.toml"), settings).unwrap();
    let run = |words: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
            .args(words)
            .env_clear()
            .env("HOME", &root)
            .env("KUGETSU_DIR", &kugetsu)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(ran.stdout), text(ran.stderr), ran.status.code())
    };
    // What somebody else has made with the same plugin is what is listed here.
    let own = kugetsu.join("state/plugins/mine/own");
    std::fs::create_dir_all(&own).unwrap();
    let issue = serde_json::json!({
        "ref": "example.com/acme/widgets#7", "number": 7, "branch": "fix/issue-7",
        "stem": "example.com-acme-widgets-7",
        "repository": { "ref": "example.com/acme/widgets", "host": "example.com", "owner": "acme", "name": "widgets" },
    });
    let begin = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "directory": own } });
    let params = serde_json::json!({ "issue": issue, "source": source.path(), "base": null });
    let prepare = serde_json::json!({ "jsonrpc": "2.0", "id": 2, "method": "worktrees/prepare", "params": params });
    let said = said_to_sample(&format!("{begin}\n{prepare}\n"));
    assert!(said.contains("\"created\": true"), "{said}");

    let (out, err, code) = run(&["list", "--all"]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("example.com/acme/widgets#7"), "{out}");
    let tree = own.join("worktrees/example.com-acme-widgets-7");
    std::fs::write(tree.join("new.txt"), "new\n").unwrap();
    let (_, err, code) = run(&["destroy", "-y", "example.com/acme/widgets#7"]);
    assert!(code == Some(1) && err.contains("has unsaved work: 1 uncommitted file"), "{err}");
    let (out, err, code) = run(&["destroy", "-y", "--force", "example.com/acme/widgets#7"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!tree.exists());
    // Nothing of it is alive.
    let trees: Vec<_> =
        kugetsu.join("state/plugins/mine/trees").read_dir().unwrap().flatten().collect();
    assert!(trees.is_empty(), "{trees:?}");
}

/// What the sample answers to these lines.
fn said_to_sample(lines: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;

    let mut child = Command::new("python3")
        .arg(sample())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need python3: install it");
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
