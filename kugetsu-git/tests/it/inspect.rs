use std::fs;

use kugetsu_core::WorktreeProvider;

use crate::ground::{Ground, commit, git, issue};

#[tokio::test]
async fn a_new_worktree_is_clean() {
    let ground = Ground::new();
    ground.prepare(7).await;
    let status = ground.inspect(7).await.unwrap();
    assert_eq!(status.head, Some(ground.remote.head().unwrap()));
    assert_eq!(status.base.as_deref(), Some("main"));
    assert_eq!((status.dirty, status.ahead, status.unpushed), (0, 0, 0));
}

#[tokio::test]
async fn untracked_files_are_dirty_and_ignored_ones_are_not() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    fs::write(tree.join(".gitignore"), "target/\n").unwrap();
    fs::create_dir_all(tree.join("target")).unwrap();
    fs::write(tree.join("target/ignored"), "").unwrap();
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    fs::write(tree.join("deep/er/one"), "").unwrap();
    fs::write(tree.join("deep/two"), "").unwrap();
    fs::write(tree.join("README.md"), "changed").unwrap();
    fs::remove_file(tree.join("file-2.txt")).unwrap();
    // .gitignore, deep/er/one, deep/two, README.md, file-2.txt
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 5);
}

#[tokio::test]
async fn ahead_counts_from_the_base_and_unpushed_from_the_remotes_branches() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    commit(&tree, "one.txt");
    let two = commit(&tree, "two.txt");
    let status = ground.inspect(7).await.unwrap();
    assert_eq!((status.ahead, status.unpushed), (2, 2));
    assert_eq!(status.head, Some(two));
    git(&tree, &["push", "--quiet", "origin", "HEAD"]);
    let status = ground.inspect(7).await.unwrap();
    assert_eq!((status.ahead, status.unpushed), (2, 0));
    commit(&tree, "three.txt");
    let status = ground.inspect(7).await.unwrap();
    assert_eq!((status.ahead, status.unpushed), (3, 1));
    ground.remote.commit("elsewhere.txt", "", "meanwhile").unwrap();
    ground.prepare(8).await;
    assert_eq!(ground.inspect(7).await.unwrap().ahead, 3);
}

#[tokio::test]
async fn the_issues_branch_counts_even_when_another_is_checked_out() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    commit(&tree, "one.txt");
    git(&tree, &["checkout", "--quiet", "--detach", "origin/main"]);
    let status = ground.inspect(7).await.unwrap();
    assert_eq!((status.ahead, status.unpushed), (0, 1));
}

#[tokio::test]
async fn a_worktree_that_is_not_there_has_no_state_and_nothing_is_made() {
    let ground = Ground::new();
    assert_eq!(ground.inspect(7).await, None);
    assert_eq!(ground.worktrees.list().await.unwrap(), []);
    assert!(!ground.path().join("worktrees").exists());
    assert!(!ground.path().join("repos").exists());
}

#[tokio::test]
async fn all_worktrees_are_listed_by_issue() {
    let ground = Ground::new();
    for number in [10, 2, 7] {
        ground.prepare(number).await;
    }
    git(&ground.tree(7), &["checkout", "--quiet", "-b", "other"]);
    fs::remove_dir_all(ground.tree(10)).unwrap();
    let listed = ground.again().list().await.unwrap();
    let listed: Vec<_> =
        listed.iter().map(|one| (one.issue.clone(), one.branch.as_str())).collect();
    assert_eq!(listed, [(issue(2), "fix/issue-2"), (issue(7), "other")]);
}
