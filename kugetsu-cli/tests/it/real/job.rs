//! The main job: an issue becomes a worktree, a session, a run and a commit.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::house::{House, contents, issue};

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_becomes_a_worktree_a_session_and_a_commit_and_continue_remembers() {
    let house = House::new().await;
    let operator = contents(house.repository.path());

    let first = house
        .run(&[
            "start",
            "--json",
            &issue(1),
            "Remember the word heron.\nMODEL: write hello.txt hello\nMODEL: commit say hello\nMODEL: say I said hello.",
        ])
        .await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.answer(), "I said hello.");
    let worktree = first.worktree();
    assert_eq!(git(&worktree, &["branch", "--show-current"]), "fix/issue-1");
    assert_eq!(git(&worktree, &["log", "-1", "--format=%s"]), "say hello");
    assert_eq!(git(&worktree, &["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(worktree.join("hello.txt")).unwrap().trim(), "hello");
    let worktrees = fs::read_dir(house.directory().join("worktrees")).unwrap();
    let worktrees = worktrees.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(worktrees.count(), 1);
    let settled = &first.told("settled")["outcome"]["report"];
    assert_eq!(settled["branch"], "fix/issue-1");
    assert_eq!(settled["commits"], 1);

    // opencode itself says where the session works.
    let exported = house.opencode(&["export", &first.session()]).await;
    assert_eq!(exported["info"]["directory"].as_str(), worktree.to_str());
    assert_eq!(contents(house.repository.path()), operator, "the operator's checkout was touched");

    // A second start makes nothing new, and `continue` knows what was said before.
    let second = house.run(&["start", "--json", &issue(1), "MODEL: history"]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.session(), first.session());
    assert_eq!(second.worktree(), worktree);
    assert_eq!(second.told("worktree_ready")["created"], false);
    let third = house.run(&["continue", "--json", &issue(1), "MODEL: history"]).await;
    assert_eq!(third.code, Some(0), "{third:?}");
    assert_eq!(third.session(), first.session());
    assert!(third.answer().contains("users=4"), "{}", third.answer());
    let asked = house.model.requests();
    let last = asked.last().unwrap();
    assert_eq!(last.session.as_deref(), Some(first.session().as_str()));
    for known in ["You work for a team", "Remember the word heron.", "I said hello."] {
        let is_known = last.messages.iter().any(|message| message.text.contains(known));
        assert!(is_known, "{known:?} is not known any more: {last:?}");
    }
    assert!(last.prompt().contains("Delegator's message:\nMODEL: history"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_not_committed_survives_starts_and_is_not_destroyed() {
    let house = House::new().await;
    let first = house.run(&["start", "--json", &issue(1), "MODEL: write half.txt half"]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let half = first.worktree().join("half.txt");
    let second = house.run(&["start", "--json", &issue(1), "MODEL: say still here"]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.told("settled")["outcome"]["report"]["uncommitted"], 1);
    assert!(half.exists());

    let refused = house.run(&["destroy", &issue(1), "-y"]).await;
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert!(half.exists());
    let destroyed = house.run(&["destroy", &issue(1), "-y", "--force"]).await;
    assert_eq!(destroyed.code, Some(0), "{destroyed:?}");
    assert!(!first.worktree().exists());
    let listed = house.run(&["list"]).await;
    assert!(!listed.stdout.contains(&first.session()), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worktree_and_a_lost_session_are_made_again() {
    let house = House::new().await;
    let first = house
        .run(&[
            "start",
            "--json",
            &issue(1),
            "MODEL: write a.txt a\nMODEL: commit add a\nMODEL: say ok",
        ])
        .await;
    assert_eq!(first.code, Some(0), "{first:?}");
    fs::remove_dir_all(first.worktree()).unwrap();
    let second = house.run(&["continue", "--json", &issue(1), "MODEL: history"]).await;
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.session(), first.session());
    assert!(first.worktree().join("a.txt").exists(), "it is made again from its branch");

    house.forget(&first.session()).await;
    let third = house.run(&["continue", "--json", &issue(1), "MODEL: say back again"]).await;
    assert_eq!(third.code, Some(0), "{third:?}");
    assert_ne!(third.session(), first.session());
    assert_eq!(third.worktree(), first.worktree());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_without_a_result_and_a_refused_model_are_failures() {
    let house = House::new().await;
    for (number, script) in [(1, "MODEL: think alone"), (2, "MODEL: http 401")] {
        let ran = house.run(&["start", &issue(number), script]).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("the attempt stopped at Run"), "{ran:?}");
    }
}
