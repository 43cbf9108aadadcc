//! `kugetsu backend check`: the samples keep every promise, and broken ones do not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A program that can be checked, and where its copies are.
struct Bench {
    home: TempDir,
}

struct Checked {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Bench {
    fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    /// Runs `kugetsu backend check` as a person would.
    fn check(&self, words: &[&str]) -> Checked {
        let ran = self.command(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let checked =
            Checked { out: text(ran.stdout), err: text(ran.stderr), code: ran.status.code() };
        self.assert_clean();
        checked
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
        command
            .args(["backend", "check"])
            .args(words)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap());
        command
    }

    fn assert_clean(&self) {
        let left: Vec<_> = self.home.path().read_dir().unwrap().flatten().collect();
        let left: Vec<_> = left
            .iter()
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name.starts_with("kugetsu-"))
            .collect();
        assert_eq!(left, [""; 0], "what a check has left behind");
    }

    /// A copy of a sample in which this piece is another one.
    fn broken(&self, sample: &str, piece: &str, other: &str) -> PathBuf {
        let text = std::fs::read_to_string(self::sample(sample)).unwrap();
        assert_eq!(text.matches(piece).count(), 1, "{sample}: {piece}");
        let path = self.home.path().join(sample);
        std::fs::write(&path, text.replace(piece, other)).unwrap();
        path
    }
}

impl Checked {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("{}{}", self.out, self.err))
    }
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins").join(name)
}

/// `python3` runs the sample; a machine without it fails here and says so.
fn python() -> &'static str {
    let ran = Command::new("python3").arg("--version").output();
    assert!(ran.is_ok_and(|ran| ran.status.success()), "these tests need python3: install it");
    "python3"
}

#[test]
fn the_sample_in_python_keeps_every_promise() {
    let sample = sample("worktrees.py");
    let checked = Bench::new().check(&["--", python(), sample.to_str().unwrap()]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    let first = "worktrees.py 1 is checked as a worktree provider: 27 promises.\nkept         a \
                 worktree is a clean checkout of the default branch on a branch of its own\n";
    assert!(checked.out.starts_with(first), "{}", checked.out);
    assert!(checked.out.ends_with("\nAll 27 promises are kept.\n"), "{}", checked.out);
    assert_eq!(checked.out.matches("\nkept ").count(), 27);
    assert_eq!(checked.err, "");
}

#[test]
fn the_sample_in_shell_keeps_every_promise() {
    let sample = sample("notify.sh");
    let words = ["--kind", "notifier", "--", "sh", sample.to_str().unwrap(), "{file}"];
    let checked = Bench::new().check(&words);
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    let told = "notify.sh is checked as a notifier: 6 promises.
not checked  a notifier keeps its name
             a command has no name of its own, but that of its table [notify.NAME]
kept         a notice that was brought is there after reopening
kept         a notice comes as it was
kept         notices come in their order
kept         a notice that comes again is kept once
kept         notices brought at once are all there
All 5 promises are kept; 1 could not be checked.
";
    assert_eq!(checked.out, told);
}

/// What is wrong with a provider, by the promise that it does not keep and what is seen instead.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        r#"if unsaved == "keep" and record["ready"]:"#,
        "if False:",
        "uncommitted_work_is_kept",
        "instead of `UnsavedWork` there was Ok(())",
    ),
    (
        "if dirty or unpushed:",
        "if dirty:",
        "commits_that_are_nowhere_else_are_kept",
        "instead of `UnsavedWork` there was Ok(())",
    ),
    (
        "if site.is_in_the_way(record) or (record is None and site.is_there()):",
        "if False:",
        "what_is_in_the_way_is_left_alone",
        "instead of `InTheWay` there was Ok(Worktree",
    ),
    (
        r#"raise Refusal(f"there is no branch {base}", "no_base_branch")"#,
        r#"commit = git(site.clone, "rev-parse", "refs/remotes/origin/HEAD")"#,
        "a_base_that_is_not_there_is_refused",
        "instead of `NoBaseBranch` there was Ok(Worktree",
    ),
    (
        r#"            git(site.clone, "fetch", "--quiet", "--prune", "origin")"#,
        r#"            is_new and git(site.clone, "fetch", "--quiet", "--prune", "origin")"#,
        "a_worktree_starts_from_the_source_as_it_is_now",
        "assertion `left == right` failed",
    ),
    (
        r#"            found(site.clone, "remote", "set-head", "origin", "--auto")"#,
        r#"            found(site.clone, "remote", "set-head", "origin", "--auto"); found(source, "branch", "seen")"#,
        "the_checkout_of_the_operator_is_never_touched",
        "refs/heads/seen",
    ),
    (
        r#"return {"worktree": site.told()}"#,
        r#"return {"worktree": site.told(created=True)}"#,
        "preparing_twice_is_preparing_once",
        "created: true",
    ),
    (
        r#"self.tree = os.path.join(directory, "worktrees", issue["stem"])"#,
        r#"self.tree = os.path.join(directory, "worktrees", issue["stem"].split("-x")[0].replace("/", "-"))"#,
        "issues_that_look_alike_have_worktrees_of_their_own",
        "the provider failed: ",
    ),
    (
        r#""--untracked-files=all""#,
        r#""--untracked-files=no""#,
        "files_that_are_not_committed_are_counted",
        "an untracked file",
    ),
    (
        "if record and site.has_branch():",
        r#"if found(site.clone, "worktree", "prune") is not None and found(site.clone, "branch", "-D", site.branch) is None:"#,
        "a_worktree_whose_directory_is_gone_is_made_again_from_its_branch",
        "assertion `left == right` failed",
    ),
    (
        "        if record is None:\n            return {}",
        r#"        if record is None: raise Refusal("there is none", retry="never")"#,
        "removing_what_is_not_there_is_done_already",
        "the provider failed: the plugin worktrees.py could not remove the worktree of \
         git.example/acme/widgets#1: there is none",
    ),
    (
        "    def list(self, **_):",
        r#"    def list(self, **_): os.write(2, b"no libfoo\n"); os._exit(3)
    def nothing(self):"#,
        "worktrees_are_listed_by_issue",
        "could not list the worktrees: the plugin worktrees.py ended before it answered: it exited \
         with 3; it said: no libfoo",
    ),
    (
        "    def list(self, **_):",
        r#"    def list(self, **_): print("listing")
    def nothing(self):"#,
        "worktrees_are_listed_by_issue",
        "the plugin worktrees.py does not keep to the protocol: it wrote a line that is no JSON",
    ),
];

#[test]
fn a_broken_provider_fails_for_the_right_reason() {
    for (piece, other, promise, seen) in FAULTS {
        let bench = Bench::new();
        let path = bench.broken("worktrees.py", piece, other);
        let words = ["--json", "--promise", promise, "--", python(), path.to_str().unwrap()];
        let checked = bench.check(&words);
        let told = checked.json();
        assert_eq!(told["not_kept"], 1, "{other}: {told}");
        assert_eq!(told["promises"][0]["promise"], *promise);
        let said = told["promises"][0]["seen"].as_str().unwrap();
        assert!(said.contains(seen), "{other}: {said}");
        assert_eq!((checked.code, checked.err.as_str()), (Some(1), ""), "{other}");
    }
}

#[test]
fn a_broken_notifier_fails_for_the_right_reason() {
    for (piece, other, promise, seen) in [
        ("if grep -F", "if false && grep -F", "a_notice_that_comes_again_is_kept_once", "came as"),
        (
            "printf '%s\\n' \"$notice\" >&9",
            ":",
            "a_notice_that_was_brought_is_there_after_reopening",
            "so many notices were kept",
        ),
        (
            "printf '%s\\n' \"$notice\" >&9",
            "printf '%b\\n' \"$notice\" >&9",
            "a_notice_comes_as_it_was",
            "of its file is no notice",
        ),
        ("exec 9>>\"$file\"", "exec 9>\"$file\"", "notices_come_in_their_order", "event-1"),
        (
            "flock 9",
            "echo 'no more room' >&2; exit 1",
            "notices_brought_at_once_are_all_there",
            "was not brought: checked could not run",
        ),
    ] {
        let bench = Bench::new();
        let path = bench.broken("notify.sh", piece, other);
        let path = path.to_str().unwrap();
        let words =
            ["--json", "--kind", "notifier", "--promise", promise, "--", "sh", path, "{file}"];
        let checked = bench.check(&words);
        let told = checked.json();
        let said = told["promises"][0]["seen"].as_str().unwrap_or_default();
        assert!(told["not_kept"] == 1 && said.contains(seen), "{other}: {told}");
        assert_eq!((checked.code, checked.err.as_str()), (Some(1), ""), "{other}");
    }
}

fn agent() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/agent.py");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn an_agent_that_does_what_it_is_asked_keeps_every_promise() {
    let bench = Bench::new();
    std::fs::write(bench.home.path().join("agent.py"), agent()).unwrap();
    let words = ["--kind", "agent", "--output", "json", "--resume", "--", python(), "agent.py"];
    let checked = bench.check(&words);
    assert_eq!((checked.code, checked.err.as_str()), (Some(0), ""), "{}", checked.out);
    assert!(
        checked.out.starts_with("agent.py is checked as an agent: 39 promises.\n"),
        "{}",
        checked.out
    );
    assert!(
        checked.out.ends_with("\nAll 28 promises are kept; 11 could not be checked.\n"),
        "{}",
        checked.out
    );
}

#[test]
fn a_broken_agent_fails_for_the_right_reason() {
    for (piece, other, promise, seen) in [
        (
            "sys.stdin.buffer.read().decode()",
            "sys.stdin.buffer.read().decode().strip()",
            "a_message_reaches_the_agent_byte_for_byte",
            "arrived as",
        ),
        (
            "    file.write(message[:200]",
            "    0 and file.write(message[:200]",
            "a_session_that_is_resumed_remembers",
            "\"marmalade\" is not in what it recalls",
        ),
        (
            r#"fail("the key is refused", retry={"retry": "never"})"#,
            r#"fail("the key is refused", retry={"retry": "later"})"#,
            "a_failure_for_good_is_told_as_such",
            "left: Later",
        ),
        (
            r#"tell("tool_ended", call="1","#,
            r#"tell("tool_ended", call="2","#,
            "the_agent_works_in_the_directory_it_was_given",
            "tool_ended",
        ),
    ] {
        let bench = Bench::new();
        let text = agent();
        assert_eq!(text.matches(piece).count(), 1, "{piece}");
        std::fs::write(bench.home.path().join("agent.py"), text.replace(piece, other)).unwrap();
        let words =
            ["--json", "--kind", "agent", "--output", "json", "--resume", "--promise", promise];
        let checked = bench.check(&[&words[..], &["--", python(), "agent.py"]].concat());
        let told = checked.json();
        let said = told["promises"][0]["seen"].as_str().unwrap_or_default().to_lowercase();
        let seen = seen.to_lowercase().replace("tool_ended", "toolended");
        assert!(told["not_kept"] == 1 && said.contains(&seen), "{other}: {told}");
        assert_eq!((checked.code, checked.err.as_str()), (Some(1), ""), "{other}");
    }
}

#[test]
fn a_check_that_is_stopped_leaves_nothing_behind() {
    let bench = Bench::new();
    let script = bench.home.path().join("silent");
    std::fs::write(&script, "echo > begun; exec cat > /dev/null").unwrap();
    let child = bench
        .command(&["--", "sh", script.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = |place: &Path| {
        let checks = place.read_dir().unwrap().flatten().map(|entry| entry.path());
        checks.map(|path| path.join("plugin/own/begun")).any(|path| path.exists())
    };
    let pid = rustix::process::Pid::from_child(&child);
    let patience = Instant::now() + Duration::from_mins(1);
    while !begun(bench.home.path()) {
        assert!(Instant::now() < patience, "the plugin was never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        (ended.status.code(), err.as_str()),
        (Some(130), "the check of silent was stopped.\n")
    );
    bench.assert_clean();
}

#[test]
fn what_is_no_backend_is_told_with_exit_69_or_64() {
    let bench = Bench::new();
    let plugin = |piece, other| {
        let path = bench.broken("worktrees.py", piece, other);
        path.to_str().unwrap().to_owned()
    };
    let newer = plugin(
        r#""protocol": "kugetsu.plugin", "version": 1,"#,
        r#""protocol": "kugetsu.plugin", "version": 2,"#,
    );
    let checked = bench.check(&["--", python(), &newer]);
    assert_eq!(checked.code, Some(69));
    let told = "error: the plugin worktrees.py speaks kugetsu.plugin/2, and this kugetsu kugetsu.plugin/1\n";
    assert!(checked.err.starts_with(told), "{}", checked.err);
    let other = plugin(r#""kinds": {"worktrees": {}},"#, r#""kinds": {"oracle": {}},"#);
    for (words, code, told) in [
        (&["--", "no-such-program"][..], 69, "there is no program no-such-program on PATH"),
        (&["--kind", "notifier", "--", "./no-such-program"], 69, "there is no file "),
        (&["--", "true"], 69, "ended before it answered: it exited with 0"),
        (&["--", "echo", "hello"], 69, "it wrote a line that is no JSON"),
        (&["--", python(), &other], 69, "worktrees.py 1 says that it is nothing to check"),
        (
            &[
                "--promise",
                "preparing twice",
                "--",
                python(),
                sample("worktrees.py").to_str().unwrap(),
            ],
            64,
            "did you mean `preparing_twice_is_preparing_once`?",
        ),
        (
            &["--kind", "agent", "--", "echo", "hello"],
            69,
            "does not do what `MODEL: say a word` asks for: it said",
        ),
        (&["--"], 64, "required"),
    ] {
        let checked = bench.check(words);
        assert_eq!((checked.code, checked.out.as_str()), (Some(code), ""), "{words:?}");
        assert!(checked.err.contains(told), "{words:?}: {}", checked.err);
    }
}

#[test]
fn what_cannot_be_seen_is_never_passed() {
    let bench = Bench::new();
    let sample = sample("notify.sh");
    let file = bench.home.path().join("kept");
    let words =
        ["--kind", "notifier", "--", "sh", sample.to_str().unwrap(), file.to_str().unwrap()];
    let checked = bench.check(&words);
    assert_eq!(checked.code, Some(1), "{}", checked.out);
    assert_eq!(checked.out.matches("not checked  ").count(), 6);
    let told =
        "             what it has kept cannot be seen: give it a file with the argument {file}\n";
    assert_eq!(checked.out.matches(told).count(), 1, "{}", checked.out);
    assert!(checked.out.ends_with("\nNo promise could be checked.\n"), "{}", checked.out);
    assert!(!file.exists(), "it was run all the same");
    let tracker = bench.broken(
        "worktrees.py",
        r#""kinds": {"worktrees": {}},"#,
        r#""kinds": {"tracker": {}},"#,
    );
    let checked = bench.check(&["--json", "--", python(), tracker.to_str().unwrap()]);
    let told = checked.json();
    assert_eq!((checked.code, &told["kept"], &told["not_kept"]), (Some(1), &0.into(), &0.into()));
    assert_eq!(told["promises"].as_array().unwrap().len(), 17);
}
