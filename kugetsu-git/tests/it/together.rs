//! Many at once.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kugetsu_core::{Unsaved, WorktreeProvider, WorktreeSpec};
use tokio::task::JoinSet;

use crate::ground::{Ground, git, issue};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_get_one_worktree() {
    let ground = Ground::new();
    let mut all = JoinSet::new();
    for _ in 0..16 {
        let worktrees = ground.again();
        all.spawn(async move { worktrees.prepare(&WorktreeSpec::new(issue(7))).await.unwrap() });
    }
    let all = all.join_all().await;
    assert_eq!(all.iter().filter(|worktree| worktree.created).count(), 1);
    assert!(all.iter().all(|worktree| worktree.path == ground.tree(7)));
    assert_eq!(git(&ground.tree(7), &["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn issues_of_one_repository_are_made_in_parallel() {
    let ground = Ground::new();
    let worktrees = Arc::new(ground.again());
    let mut all = JoinSet::new();
    for number in 1..=16 {
        let worktrees = worktrees.clone();
        all.spawn(
            async move { worktrees.prepare(&WorktreeSpec::new(issue(number))).await.unwrap() },
        );
    }
    for worktree in all.join_all().await {
        assert!(worktree.created);
        assert_eq!(git(&worktree.path, &["rev-parse", "--abbrev-ref", "HEAD"]), worktree.branch);
        assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "");
    }
    assert_eq!(ground.worktrees.list().await.unwrap().len(), 16);
    git(&ground.clone(), &["fsck"]);
    assert_eq!(ground.left_over(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn preparing_and_removing_at_once_leaves_a_worktree_or_none() {
    let ground = Ground::new();
    let mut all = JoinSet::new();
    for number in 0..24 {
        let worktrees = ground.again();
        all.spawn(async move {
            if number % 2 == 0 {
                worktrees.prepare(&WorktreeSpec::new(issue(7))).await.map(drop).unwrap();
            } else {
                worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
            }
        });
    }
    all.join_all().await;
    let worktree = ground.prepare(7).await;
    assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "");
    assert_eq!(ground.left_over(), Vec::<String>::new());
}

/// The example of this crate, as a program.
pub(crate) fn example(ground: &Ground, number: u64) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples/prepare");
    assert!(program.exists(), "build {} with `cargo build --examples`", program.display());
    let mut command = Command::new(program);
    command
        .arg(issue(number).to_string())
        .arg(ground.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", ground.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn processes_at_once_get_one_worktree_an_issue() {
    let ground = Ground::new();
    let all: Vec<_> =
        (0..8).map(|number| example(&ground, number % 2 + 1).spawn().unwrap()).collect();
    let mut created = 0;
    for process in all {
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{failed}");
        assert!(said.contains("0 uncommitted files, 0 commits ahead, 0 not pushed"), "{said}");
        created += usize::from(said.contains("created: true"));
    }
    assert_eq!(created, 2);
    assert_eq!(ground.left_over(), Vec::<String>::new());
}
