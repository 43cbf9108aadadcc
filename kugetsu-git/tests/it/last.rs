//! Branches and clones that another agent deletes: the commits stay, or their loss is told.

use std::fs;

use kugetsu_core::{Unsaved, WorktreeError, WorktreeProvider};

use crate::ground::{Ground, commit, git, issue};

const BRANCH: &str = "refs/heads/fix/issue-7";

fn delete_branch(ground: &Ground) {
    git(&ground.clone(), &["update-ref", "-d", BRANCH]);
}

fn branch(ground: &Ground) -> String {
    git(&ground.clone(), &["rev-parse", BRANCH])
}

fn rescued(ground: &Ground) -> String {
    git(&ground.clone(), &["for-each-ref", "--format=%(objectname)", "refs/kugetsu/rescue"])
}

#[tokio::test]
async fn a_deleted_branch_is_made_again_where_gits_log_says() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "own.txt");
    delete_branch(&ground);
    let error = ground.worktrees.inspect(&issue(7)).await.unwrap_err();
    assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
    assert!(!ground.prepare(7).await.created);
    assert_eq!(branch(&ground), own);
    let next = commit(&tree, "next.txt");
    assert_eq!(git(&tree, &["rev-parse", "HEAD^"]), own);

    delete_branch(&ground);
    let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::UnsavedWork { unpushed: 2, .. }), "{error}");
    assert_eq!(branch(&ground), next);
    delete_branch(&ground);
    ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
    assert!(ground.prepare(7).await.created);
    assert_eq!(branch(&ground), ground.remote.head().unwrap(), "what was given up stays so");
}

#[tokio::test]
async fn a_deleted_branch_without_a_log_is_made_again_where_it_was_last_seen() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    delete_branch(&ground);
    ground.prepare(7).await;
    assert_eq!(branch(&ground), ground.remote.head().unwrap());

    let own = commit(&tree, "own.txt");
    ground.inspect(7).await.unwrap();
    fs::remove_dir_all(ground.entry(7).join("logs")).unwrap();
    delete_branch(&ground);
    ground.prepare(7).await;
    assert_eq!(branch(&ground), own);

    delete_branch(&ground);
    fs::remove_dir_all(&tree).unwrap();
    fs::remove_dir_all(ground.entry(7)).unwrap();
    assert!(ground.prepare(7).await.created);
    assert_eq!(branch(&ground), own);
    assert!(tree.join("own.txt").exists());
}

#[tokio::test]
async fn a_branch_of_the_agents_own_is_made_again_too() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    commit(&tree, "first.txt");
    git(&tree, &["checkout", "--quiet", "-b", "other"]);
    let own = commit(&tree, "own.txt");
    git(&ground.clone(), &["update-ref", "-d", "refs/heads/other"]);
    assert_eq!(ground.prepare(7).await.branch, "other");
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), own);
}

#[tokio::test]
async fn a_branch_that_never_had_a_commit_is_left_alone() {
    for works in [false, true] {
        let ground = Ground::new();
        let tree = ground.prepare(7).await.path;
        if works {
            commit(&tree, "own.txt");
        }
        git(&tree, &["checkout", "--quiet", "--orphan", "pages"]);
        assert_eq!(ground.prepare(7).await.branch, "pages");
        ground.inspect(7).await.unwrap();
        assert_eq!(git(&ground.clone(), &["for-each-ref", "refs/heads/pages"]), "");
    }
}

#[tokio::test]
async fn a_branch_that_was_somewhere_unknown_is_told() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "own.txt");
    let note = tree.with_file_name(format!(".{}.last", issue(7).stem()));
    for lie in ["", "nonsense\n", &format!("{} {BRANCH}\n", "1".repeat(40))] {
        fs::write(&note, lie).unwrap();
        let _ = fs::remove_dir_all(ground.entry(7).join("logs"));
        delete_branch(&ground);
        for error in [
            ground.try_prepare(7).await.unwrap_err(),
            ground.worktrees.inspect(&issue(7)).await.unwrap_err(),
            ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err(),
        ] {
            assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
        }
        git(&ground.clone(), &["update-ref", BRANCH, &own]);
    }
    ground.prepare(7).await;
    assert_eq!(branch(&ground), own);
}

#[tokio::test]
async fn a_commit_that_the_branch_was_moved_away_from_is_kept() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "own.txt");
    ground.prepare(7).await;
    assert_eq!(rescued(&ground), "");
    git(&ground.clone(), &["update-ref", BRANCH, &ground.remote.head().unwrap()]);
    ground.prepare(7).await;
    assert_eq!(rescued(&ground), own);
    assert_eq!(branch(&ground), ground.remote.head().unwrap());
}

#[tokio::test]
async fn commits_that_went_with_the_clone_are_told() {
    for with_tree in [true, false] {
        let ground = Ground::new();
        let tree = ground.prepare(7).await.path;
        let own = commit(&tree, "own.txt");
        ground.inspect(7).await.unwrap();
        fs::remove_dir_all(ground.path().join("repos")).unwrap();
        if !with_tree {
            fs::remove_dir_all(&tree).unwrap();
        }
        for _ in 0..2 {
            let error = ground.try_prepare(7).await.unwrap_err();
            assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
            assert!(error.to_string().contains(&own), "{error}");
        }
        fs::remove_dir_all(ground.path().join("repos")).unwrap();
        ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
        assert!(!tree.exists());
        assert!(ground.prepare(7).await.created);
        ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
        ground.nothing_is_left().await;
    }
}

#[tokio::test]
async fn commits_that_were_pushed_come_back_with_a_new_clone() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "own.txt");
    git(&tree, &["push", "--quiet", "origin", "HEAD"]);
    ground.inspect(7).await.unwrap();
    fs::remove_dir_all(ground.path().join("repos")).unwrap();
    assert!(!ground.prepare(7).await.created);
    assert_eq!(branch(&ground), own);
    assert_eq!(git(&tree, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_link_that_the_agent_wrote_over_is_written_again() {
    for text in ["gitdir: /elsewhere/evil\n", "gitdir: ../evil\n", "no link\n"] {
        let ground = Ground::new();
        let tree = ground.prepare(7).await.path;
        let evil = ground.path().join("worktrees/evil");
        fs::create_dir(&evil).unwrap();
        let own = commit(&tree, "own.txt");
        fs::write(tree.join(".git"), text).unwrap();
        assert_eq!(ground.inspect(7).await.unwrap().head, Some(own));
        let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
        assert!(matches!(error, WorktreeError::UnsavedWork { unpushed: 1, .. }), "{error}");
        fs::write(tree.join(".git"), text).unwrap();
        assert!(!ground.prepare(7).await.created);
        assert_eq!(git(&tree, &["status", "--porcelain"]), "");
        git(&tree, &["push", "--quiet", "origin", "HEAD"]);
        fs::write(tree.join(".git"), text).unwrap();
        ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
        assert!(!tree.exists());
        ground.prepare(7).await;
        fs::write(tree.join(".git"), text).unwrap();
        ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
        assert!(!tree.exists());
        assert!(fs::read_dir(&evil).unwrap().next().is_none());
    }
}

#[tokio::test]
async fn a_worktree_of_another_repository_is_not_taken_for_ours() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    fs::remove_dir_all(&tree).unwrap();
    git(ground.remote.path(), &["worktree", "add", "--quiet", "--detach", tree.to_str().unwrap()]);
    let before = fs::read(tree.join(".git")).unwrap();
    let error = ground.try_prepare(7).await.unwrap_err();
    assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
    assert_eq!(fs::read(tree.join(".git")).unwrap(), before);
}
