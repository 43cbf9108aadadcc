//! What was removed is gone at once, and its files are soon.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use kugetsu_core::{Unsaved, WorktreeError, WorktreeProvider as _};

use crate::ground::{Ground, commit, git, issue};

fn waiting(ground: &Ground) -> Vec<PathBuf> {
    let all = fs::read_dir(ground.path().join("worktrees")).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|kind| kind == "gone")).collect()
}

async fn until_deleted(ground: &Ground) {
    let start = Instant::now();
    while !waiting(ground).is_empty() {
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", waiting(ground));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn files_are_deleted_without_anybody_waiting() {
    let ground = Ground::new();
    for number in 1..4 {
        ground.prepare(number).await;
    }
    for number in 1..4 {
        ground.worktrees.remove(&issue(number), Unsaved::Keep).await.unwrap();
        assert!(!ground.tree(number).exists() && !ground.entry(number).exists());
    }
    until_deleted(&ground).await;
    assert_eq!(ground.worktrees.recover().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_process_left_undeleted_is_deleted_by_the_next_and_is_no_half() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let left = |number: u32| tree.with_file_name(format!(".{}.{number}.gone", issue(9).stem()));
    for number in 0..2 {
        fs::create_dir_all(left(number).join("src")).unwrap();
        fs::write(left(number).join("src/file"), "").unwrap();
    }
    fs::set_permissions(left(0).join("src"), fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(ground.worktrees.examine(&[]).await.unwrap(), []);
    let again = ground.again();
    again.remove(&issue(8), Unsaved::Keep).await.unwrap();
    until_deleted(&ground).await;
    fs::create_dir_all(left(3).join("src")).unwrap();
    assert_eq!(again.recover().await.unwrap(), Vec::<String>::new());
    assert_eq!(waiting(&ground), Vec::<PathBuf>::new());
    // A new worktree of the same issue has nothing to wait for.
    fs::create_dir_all(left(4).join("src")).unwrap();
    ground.again().prepare(&kugetsu_core::WorktreeSpec::new(issue(9))).await.unwrap();
    until_deleted(&ground).await;
    assert!(ground.tree(9).join("README.md").exists());
}

#[tokio::test]
async fn work_is_noticed_however_little_of_it_shows() {
    let ground = Ground::new();
    ground.remote.commit(".gitignore", "target/\n*.log\n", "ignore").unwrap();
    ground.remote.commit("deep/er/file.txt", "one\n", "deep").unwrap();
    let tree = ground.prepare(7).await.path;
    let refused = async |dirty: u32| {
        let error = ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap_err();
        let told = matches!(error, WorktreeError::UnsavedWork { dirty: told, .. } if told == dirty);
        assert!(told, "{error}");
        let status = ground.inspect(7).await.unwrap();
        assert_eq!(status.dirty, dirty);
    };
    // As long as before, and written in the instant in which the worktree was made.
    fs::write(tree.join("deep/er/file.txt"), "two\n").unwrap();
    refused(1).await;
    fs::write(tree.join("deep/er/file.txt"), "one\n").unwrap();
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 0);
    fs::set_permissions(tree.join("README.md"), fs::Permissions::from_mode(0o755)).unwrap();
    refused(1).await;
    fs::set_permissions(tree.join("README.md"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(tree.join("deep/new.txt"), "").unwrap();
    refused(1).await;
    git(&tree, &["add", "deep/new.txt"]);
    fs::remove_file(tree.join("deep/new.txt")).unwrap();
    refused(1).await;
    git(&tree, &["reset", "--quiet"]);
    fs::rename(tree.join("file-2.txt"), ground.path().join("kept")).unwrap();
    refused(1).await;
    std::os::unix::fs::symlink("README.md", tree.join("file-2.txt")).unwrap();
    refused(1).await;
    fs::remove_file(tree.join("file-2.txt")).unwrap();
    fs::rename(ground.path().join("kept"), tree.join("file-2.txt")).unwrap();
    // What is ignored is not work.
    fs::create_dir_all(tree.join("target/debug")).unwrap();
    fs::write(tree.join("target/debug/out"), "").unwrap();
    fs::write(tree.join("deep/a.log"), "").unwrap();
    fs::create_dir(tree.join("empty")).unwrap();
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 0);
    fs::create_dir_all(tree.join("other/target")).unwrap();
    fs::write(tree.join("other/target/out"), "").unwrap();
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 0);
    fs::write(tree.join("other/b.txt"), "").unwrap();
    refused(1).await;
    fs::remove_dir_all(tree.join("other")).unwrap();
    commit(&tree, "own.txt");
    assert_eq!(ground.inspect(7).await.unwrap().dirty, 0);
    git(&tree, &["push", "--quiet", "origin", "HEAD"]);
    ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
    until_deleted(&ground).await;
}
