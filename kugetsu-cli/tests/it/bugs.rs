//! The bugs of the original that the command alone could bring back, by their numbers in
//! `docs/features.md`.

use std::fs;
use std::path::{Path, PathBuf};

use kugetsu_cli::Terminals;

use crate::desk::{ISSUE, desk, initialised};

#[test]
fn bug_4_neither_a_start_nor_healing_touches_the_work_in_a_worktree() {
    let desk = initialised();
    desk.run(&["start", ISSUE, "MODEL: write a.txt precious"]).done();
    let work = desk.worktree().join("a.txt");
    fs::write(desk.worktree().join("b.txt"), "not of an agent").unwrap();
    desk.run(&["start", ISSUE, "MODEL: say again"]).done();
    desk.run(&["continue", ISSUE, "MODEL: say go on"]).done();
    desk.lose_session(ISSUE);
    desk.run(&["start", ISSUE, "MODEL: say anew"]).done();
    desk.run(&["prune", "--force"]).done();
    assert_eq!(fs::read_to_string(&work).unwrap().trim(), "precious");
    assert!(desk.worktree().join("b.txt").exists());
    desk.lose_session(ISSUE);
    let pruned = desk.run(&["prune", "--force"]);
    assert!(pruned.out.contains("Kept") && work.exists(), "{}", pruned.shown());
    desk.run(&["continue", ISSUE, "MODEL: say healed"]).done();
    assert!(work.exists() && desk.worktree().join("b.txt").exists());
}

#[test]
fn bug_6_a_message_is_neither_cut_nor_broken_nor_taken_for_an_option() {
    let desk = initialised();
    for text in ["fix the last word", "it's \"quoted\" $(exit 3) `x`\n\\ two", "--force is wrong"] {
        desk.run(&["start", ISSUE, "--", text]).done();
        let told = desk.agent.runs().last().unwrap().message.clone();
        assert!(told.ends_with(&format!("Delegator's message:\n{text}")), "{told}");
        let input = desk.run_with(&["continue", ISSUE, "-"], text.as_bytes(), Terminals::default());
        input.done();
        let told = desk.agent.runs().last().unwrap().message.clone();
        assert!(told.ends_with(&format!("Delegator's message:\n{text}")), "{told}");
    }
    let runs = desk.agent.runs().len();
    // Without `--` it is no option that was meant as a word: it is told, and nothing starts.
    assert_eq!(desk.run(&["start", ISSUE, "--froce"]).code, 64);
    assert_eq!(desk.agent.runs().len(), runs);
}

#[test]
fn bug_9_issues_whose_names_look_alike_share_nothing() {
    let desk = initialised();
    let origin = desk.path("origin");
    let list = serde_json::json!({ "example.com/a/b-c": origin, "example.com/a-b/c": origin });
    fs::write(desk.kugetsu("repos.json"), list.to_string()).unwrap();
    let issues = ["example.com/a/b-c#1", "example.com/a-b/c#1"];
    for issue in issues {
        desk.run(&["start", issue, &format!("MODEL: write a.txt {issue}")]).done();
    }
    for (issue, other) in [(issues[0], issues[1]), (issues[1], issues[0])] {
        let context = desk.run(&["context", issue, "--json"]).done().json();
        assert_eq!(context["message"], format!("MODEL: write a.txt {issue}"));
        let worktree = Path::new(context["worktree"].as_str().unwrap());
        assert_eq!(fs::read_to_string(worktree.join("a.txt")).unwrap().trim(), issue);
        let theirs = desk.run(&["context", other, "--json"]).done().json();
        assert_ne!(context["session"], theirs["session"]);
    }
    for kept in ["worktrees", "context", "logs"] {
        let found = fs::read_dir(desk.kugetsu(kept)).unwrap().map(|e| e.unwrap().file_name());
        let found = found.filter(|name| name.to_string_lossy().starts_with("example.com-a-b-c"));
        assert_eq!(found.count(), 2, "{kept}");
    }
}

/// Every file that tests or people run, without what was built.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut open: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    open.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("kugetsu-") || ["scripts", "examples", "benches"].contains(&&*name)
    });
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.push((path, text));
        }
    }
    found
}

#[test]
fn bug_13_tests_have_a_home_of_their_own_and_nothing_is_killed_by_name() {
    let desk = desk();
    let before = std::env::var_os("HOME").unwrap();
    desk.run(&["init"]).done();
    assert!(desk.path("home").starts_with(std::env::temp_dir().canonicalize().unwrap()));
    let told = desk.run(&["config", "list", "--json"]).done().json();
    let directory = Path::new(told["directory"]["value"].as_str().unwrap());
    assert!(directory.starts_with(desk.path("")) && !directory.starts_with(&before));
    let sources = sources();
    assert!(sources.len() > 300, "{}", sources.len());
    for (path, text) in &sources {
        for word in [concat!("pk", "ill"), concat!("kill", "all")] {
            assert!(!text.contains(word), "{word} is in {}", path.display());
        }
    }
}
