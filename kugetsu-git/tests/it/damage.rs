//! What agents and crashes do to a worktree: it is mended or told, and no work is lost.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use kugetsu_core::{Unsaved, WorktreeError, WorktreeProvider};

use crate::ground::{Ground, commit, git, issue};

fn unsaved_work(ground: &Ground) {
    fs::write(ground.tree(7).join("unsaved.txt"), "precious").unwrap();
    fs::write(ground.tree(7).join("README.md"), "precious").unwrap();
}

async fn is_whole(ground: &Ground) {
    let tree = ground.prepare(7).await.path;
    assert_eq!(fs::read_to_string(tree.join("unsaved.txt")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(tree.join("README.md")).unwrap(), "precious");
    assert_eq!(git(&tree, &["status", "--porcelain"]), "M README.md\n?? unsaved.txt");
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 2);
    git(&ground.clone(), &["fsck"]);
    commit(&tree, "more.txt");
}

#[tokio::test]
async fn parts_of_the_administration_that_are_missing_are_written_again() {
    for part in ["HEAD", "gitdir", "commondir", "index", "kugetsu.json"] {
        let ground = Ground::new();
        ground.prepare(7).await;
        unsaved_work(&ground);
        fs::remove_file(ground.entry(7).join(part)).unwrap();
        is_whole(&ground).await;
    }
}

#[tokio::test]
async fn the_link_in_the_worktree_is_written_again() {
    let ground = Ground::new();
    ground.prepare(7).await;
    unsaved_work(&ground);
    fs::remove_file(ground.tree(7).join(".git")).unwrap();
    is_whole(&ground).await;
    File::create(ground.tree(7).join(".git")).unwrap();
    assert!(!ground.prepare(7).await.created);
    git(&ground.tree(7), &["status"]);
}

#[tokio::test]
async fn a_worktree_that_git_has_forgotten_is_taken_up_again() {
    let ground = Ground::new();
    ground.prepare(7).await;
    unsaved_work(&ground);
    fs::remove_dir_all(ground.entry(7)).unwrap();
    let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::UnsavedWork { dirty: 2, .. }), "{error}");
    fs::remove_dir_all(ground.entry(7)).unwrap();
    assert!(!ground.prepare(7).await.created);
    is_whole(&ground).await;
}

#[tokio::test]
async fn a_worktree_whose_clone_is_gone_keeps_its_files() {
    let ground = Ground::new();
    ground.prepare(7).await;
    unsaved_work(&ground);
    fs::remove_dir_all(ground.clone()).unwrap();
    let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
    is_whole(&ground).await;
}

#[tokio::test]
async fn everything_may_be_moved_together() {
    let ground = Ground::new();
    ground.prepare(7).await;
    unsaved_work(&ground);
    let moved = Ground::new();
    for part in ["worktrees", "repos"] {
        fs::rename(ground.path().join(part), moved.path().join(part)).unwrap();
    }
    is_whole(&moved).await;
}

#[tokio::test]
async fn whatever_else_is_there_is_in_the_way_and_stays() {
    let ground = Ground::new();
    ground.prepare(1).await;
    let tree = ground.tree(7);
    let elsewhere = ground.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for make in [
        (|tree, _| fs::write(tree, "a file").unwrap()) as fn(&std::path::Path, &std::path::Path),
        |tree, elsewhere| symlink(elsewhere, tree).unwrap(),
        |tree, _| symlink("nowhere", tree).unwrap(),
        |tree, _| {
            fs::create_dir(tree).unwrap();
            fs::write(tree.join("file"), "").unwrap();
        },
        |tree, _| {
            fs::create_dir(tree).unwrap();
            git(tree, &["init", "--quiet"]);
        },
        |tree, _| {
            fs::create_dir(tree).unwrap();
            fs::write(tree.join(".git"), "gitdir: /elsewhere/worktrees/x\n").unwrap();
        },
    ] {
        make(&tree, &elsewhere);
        let error = ground.try_prepare(7).await.unwrap_err();
        assert!(matches!(&error, WorktreeError::InTheWay { path, .. } if *path == tree), "{error}");
        assert_eq!(ground.inspect(7).await, None);
        assert!(fs::read_dir(&elsewhere).unwrap().next().is_none());
        fs::rename(&tree, ground.path().join("away")).unwrap();
        let away = ground.path().join("away");
        if fs::symlink_metadata(&away).unwrap().is_dir() {
            fs::remove_dir_all(away).unwrap();
        } else {
            fs::remove_file(away).unwrap();
        }
    }
    fs::create_dir(&tree).unwrap();
    assert!(ground.prepare(7).await.created, "an empty directory is not in the way");
}

#[tokio::test]
async fn a_repository_that_the_agent_put_over_the_link_is_told() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    fs::remove_file(tree.join(".git")).unwrap();
    git(&tree, &["init", "--quiet"]);
    commit(&tree, "own.txt");
    for error in [
        ground.try_prepare(7).await.unwrap_err(),
        ground.worktrees.inspect(&issue(7)).await.unwrap_err(),
        ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err(),
    ] {
        assert!(matches!(error, WorktreeError::InTheWay { .. }), "{error}");
    }
    assert!(tree.join(".git/HEAD").exists());
    ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
    assert!(!tree.exists());
}

#[tokio::test]
async fn a_worktree_that_was_moved_away_is_told() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let moved = ground.path().join("moved");
    git(&ground.clone(), &["worktree", "move", tree.to_str().unwrap(), moved.to_str().unwrap()]);
    let error = ground.try_prepare(7).await.unwrap_err();
    assert!(matches!(&error, WorktreeError::InTheWay { path, .. } if *path == moved), "{error}");
    git(&ground.clone(), &["worktree", "move", moved.to_str().unwrap(), tree.to_str().unwrap()]);
    assert!(!ground.prepare(7).await.created);
}

#[tokio::test]
async fn a_detached_commit_of_a_lost_worktree_is_rescued() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    git(&tree, &["checkout", "--quiet", "--detach"]);
    let own = commit(&tree, "own.txt");
    fs::remove_dir_all(&tree).unwrap();
    let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::UnsavedWork { unpushed: 1, .. }), "{error}");
    assert_eq!(ground.prepare(7).await.branch, "fix/issue-7");
    let kept =
        git(&ground.clone(), &["for-each-ref", "--format=%(objectname)", "refs/kugetsu/rescue"]);
    assert_eq!(kept, own);
}

#[tokio::test]
async fn locks_of_a_killed_git_are_removed_and_those_of_a_living_one_stay() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let lock = ground.entry(7).join("index.lock");
    let mut living = Command::new("sh")
        .args(["-c", "read line"])
        .current_dir(&tree)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    File::create(&lock).unwrap();
    ground.prepare(7).await;
    assert!(lock.exists(), "somebody works there");
    drop(living.stdin.take());
    living.wait().unwrap();
    ground.prepare(7).await;
    assert!(!lock.exists());
    commit(&tree, "a.txt");
}

#[tokio::test]
async fn an_extension_that_libgit2_lacks_is_named() {
    let ground = Ground::new();
    ground.prepare(7).await;
    git(&ground.clone(), &["config", "core.repositoryFormatVersion", "1"]);
    git(&ground.clone(), &["config", "extensions.partialClone", "origin"]);
    let error = ground.try_prepare(8).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("partialclone"), "{error}");
}

#[tokio::test]
async fn a_clone_that_is_none_is_told() {
    let ground = Ground::new();
    fs::create_dir_all(ground.clone()).unwrap();
    fs::write(ground.clone().join("file"), "").unwrap();
    let error = ground.try_prepare(7).await.unwrap_err();
    assert!(
        matches!(&error, WorktreeError::InTheWay { path, .. } if *path == ground.clone()),
        "{error}"
    );
}

#[tokio::test]
async fn locks_of_references_that_a_crash_left_do_not_last() {
    let ground = Ground::new();
    ground.prepare(1).await;
    let branch = ground.clone().join("refs/heads/fix/issue-7.lock");
    File::create(&branch).unwrap();
    ground.prepare(7).await;
    File::create(&branch).unwrap();
    ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
    assert!(!branch.exists());

    let shared = ["packed-refs.lock", "config.lock", "refs/remotes/origin/main.lock"];
    let shared = shared.map(|name| ground.clone().join(name));
    fs::create_dir_all(shared[2].parent().unwrap()).unwrap();
    let make = |age| {
        for lock in &shared {
            let file = File::create(lock).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        }
    };
    make(Duration::ZERO);
    ground.remote.commit("newer.txt", "", "newer").unwrap();
    let error = ground.try_prepare(8).await.unwrap_err();
    assert!(error.retry().is_possible(), "somebody may be at it: {error}");
    make(Duration::from_mins(1));
    ground.prepare(8).await;
    assert!(ground.tree(8).join("newer.txt").exists());
    assert!(!shared.iter().any(|lock| lock.exists()));
}
