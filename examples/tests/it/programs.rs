//! Each program is run, as its head says, and what it prints is what it promises.

use std::path::Path;
use std::process::{Command, Stdio};

use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::with_prefix("kugetsu-example-").unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What the program says when it does what it was asked, on both streams.
    #[track_caller]
    fn run(&self, program: &str, words: &[&str]) -> (String, String) {
        let told = Command::new(program)
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("TMPDIR", self.0.path())
            .env("KUGETSU_DIR", self.path("kugetsu"))
            .env("KUGETSU_AGENT", "counter")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(told.stdout), text(told.stderr));
        assert_eq!(told.status.code(), Some(0), "{words:?}: {out}{err}");
        (out, err)
    }

    /// As [`run`](Self::run), for a program that has nothing to remark and leaves nothing behind.
    #[track_caller]
    fn says(&self, program: &str, words: &[&str]) -> String {
        let before = entries(self.0.path());
        let (out, err) = self.run(program, words);
        assert_eq!(err, "");
        let named = words.iter().map(Path::new).filter(|path| path.starts_with(self.0.path()));
        let named: Vec<_> = named.filter_map(Path::file_stem).collect();
        for entry in entries(self.0.path()) {
            let is_named = Path::new(&entry).file_stem().is_some_and(|stem| named.contains(&stem));
            assert!(is_named || before.contains(&entry), "{} was left behind", entry.display());
        }
        out
    }
}

fn entries(directory: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn an_agent_of_ones_own_works_in_a_worktree() {
    let said = Home::new().says(env!("CARGO_BIN_EXE_custom-agent"), &["count these four words"]);
    assert_eq!(said, "I was told 4 words. Files not committed: 1.\n");
}

#[test]
fn a_program_with_an_agent_of_its_own_is_a_whole_kugetsu() {
    let home = Home::new();
    let origin = SampleRepository::new(home.path("origin").as_ref()).unwrap();
    let program = env!("CARGO_BIN_EXE_custom-binary");
    home.run(program, &["init"]);
    let from = origin.path().to_str().unwrap();
    let words = ["start", "example.com/acme/widgets#7", "count this", "--repo", from];
    let (out, err) = home.run(program, &words);
    assert!(err.contains("I was told 2 words."), "{err}");
    assert!(out.contains("fix/issue-7"), "{out}");
}

#[test]
fn what_one_program_puts_into_a_store_of_ones_own_another_carries_out() {
    let (home, program) = (Home::new(), env!("CARGO_BIN_EXE_custom-store"));
    let file = home.path("moon.json");
    let first = home.says(program, &[&file, "add", "say Good night."]);
    let second = home.says(program, &[&file, "add", "http 401"]);
    let (first, second) =
        (first.trim().replace("queued", "completed"), second.replace("queued", "error"));
    assert_eq!(home.says(program, &[&file, "work"]), format!("{first}\n{second}"));
    // There is no more to do.
    assert_eq!(home.says(program, &[&file, "work"]), "");
}

#[test]
fn a_notifier_of_ones_own_is_brought_what_people_should_hear_of() {
    let home = Home::new();
    let said = home.says(env!("CARGO_BIN_EXE_custom-notifier"), &[&home.path("notices.jsonl")]);
    assert_eq!(
        said,
        "task_queued: example.com/acme/widgets#7 was queued.\n\
         task_dequeued: example.com/acme/widgets#7 was taken up.\n\
         task_started: example.com/acme/widgets#7: an agent started.\n\
         task_completed: example.com/acme/widgets#7 complete. All is well.\n"
    );
}

#[test]
fn worktrees_of_ones_own_are_worked_in() {
    let (home, program) = (Home::new(), env!("CARGO_BIN_EXE_custom-worktrees"));
    let origin = SampleRepository::new(home.path("origin").as_ref()).unwrap();
    let (trees, from) = (home.path("trees"), origin.path().to_str().unwrap());
    let said = home.says(program, &[&trees, from]);
    assert_eq!(said, "completed\nexample.com/acme/widgets#7 on fix/issue-7: 1 commits\n");
    let moon =
        std::fs::read_to_string(home.path("trees/worktrees/example.com-acme-widgets-7/moon.txt"));
    assert_eq!(moon.unwrap(), "full\n");
}

#[test]
fn a_user_interface_of_ones_own_shows_what_happens_and_nothing_that_acts_on_a_terminal() {
    let said = Home::new().says(env!("CARGO_BIN_EXE_own-ui"), &[]);
    let of = |number: u32| -> Vec<&str> {
        let lines = said.lines().map(|line| line.split_once("  ").unwrap());
        let issue = format!("example.com/acme/widgets#{number}");
        lines.filter(|(of, _)| *of == issue).map(|(_, words)| words).collect()
    };
    let one = of(1);
    assert_eq!(one[..3], ["waits", "begins, attempt 1", "works on fix/issue-1"], "{said}");
    assert_eq!(one.last(), Some(&"done, 1 commits"), "{said}");
    assert!(of(2).contains(&"says: I have\\u{7} looked."), "{said}");
    assert_eq!(of(2).last(), Some(&"done, 0 commits"), "{said}");
    assert!(of(3).last().unwrap().starts_with("failed: "), "{said}");
}

#[test]
fn two_programs_keep_one_limit() {
    let said = Home::new().says(env!("CARGO_BIN_EXE_two-embedders"), &[]);
    assert_eq!(said, "agents at work at once: at most 2 of 6\n");
}
