use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kugetsu_core::{Unsaved, WorktreeError, WorktreeProvider};

use crate::ground::{Ground, commit, git, issue, picture};

async fn remove(ground: &Ground, unsaved: Unsaved) -> Result<(), WorktreeError> {
    ground.worktrees.remove(&issue(7), unsaved).await
}

async fn is_gone(ground: &Ground) {
    assert!(!ground.tree(7).exists());
    assert!(!ground.entry(7).exists());
    assert_eq!(git(&ground.clone(), &["branch", "--list", "fix/*"]), "");
    assert_eq!(ground.left_over(), Vec::<String>::new());
    ground.nothing_is_left().await;
}

#[tokio::test]
async fn a_clean_worktree_goes_with_its_branch() {
    let ground = Ground::new();
    ground.prepare(7).await;
    remove(&ground, Unsaved::Keep).await.unwrap();
    is_gone(&ground).await;
    remove(&ground, Unsaved::Keep).await.unwrap();
    remove(&ground, Unsaved::Discard).await.unwrap();
}

#[tokio::test]
async fn unsaved_work_is_kept_unless_it_is_to_be_discarded() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    fs::write(tree.join("new.txt"), "").unwrap();
    let before = picture(&tree);
    let error = remove(&ground, Unsaved::Keep).await.unwrap_err();
    assert!(
        matches!(&error, WorktreeError::UnsavedWork { path, dirty: 1, unpushed: 0 } if *path == tree),
        "{error}"
    );
    assert_eq!(picture(&tree), before);
    commit(&tree, "new.txt");
    let error = remove(&ground, Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::UnsavedWork { dirty: 0, unpushed: 1, .. }), "{error}");
    remove(&ground, Unsaved::Discard).await.unwrap();
    is_gone(&ground).await;
}

#[tokio::test]
async fn pushed_work_is_saved() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    commit(&tree, "new.txt");
    git(&tree, &["push", "--quiet", "origin", "HEAD"]);
    remove(&ground, Unsaved::Keep).await.unwrap();
    is_gone(&ground).await;
}

#[tokio::test]
async fn commits_whose_directory_is_gone_are_kept() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "new.txt");
    fs::remove_dir_all(&tree).unwrap();
    let error = remove(&ground, Unsaved::Keep).await.unwrap_err();
    assert!(matches!(error, WorktreeError::UnsavedWork { unpushed: 1, .. }), "{error}");
    assert_eq!(git(&ground.clone(), &["rev-parse", "fix/issue-7"]), own);
    remove(&ground, Unsaved::Discard).await.unwrap();
    is_gone(&ground).await;
}

#[tokio::test]
async fn links_are_deleted_and_not_followed() {
    let ground = Ground::new();
    let outside = ground.path().join("outside");
    fs::create_dir_all(outside.join("precious")).unwrap();
    fs::write(outside.join("precious/file"), "keep").unwrap();
    let before = picture(&outside);
    let tree = ground.prepare(7).await.path;
    symlink(&outside, tree.join("link")).unwrap();
    symlink(outside.join("precious/file"), tree.join("file-link")).unwrap();
    symlink("/", tree.join("root")).unwrap();
    fs::hard_link(outside.join("precious/file"), tree.join("hard")).unwrap();
    fs::create_dir_all(tree.join("sealed/in")).unwrap();
    symlink(&outside, tree.join("sealed/in/link")).unwrap();
    fs::set_permissions(tree.join("sealed/in"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(tree.join("sealed"), fs::Permissions::from_mode(0o000)).unwrap();
    remove(&ground, Unsaved::Discard).await.unwrap();
    is_gone(&ground).await;
    assert_eq!(picture(&outside), before);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_finished() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let old = tree.with_file_name(format!(".{}.old", issue(7).stem()));
    fs::rename(&tree, &old).unwrap();
    remove(&ground, Unsaved::Keep).await.unwrap();
    is_gone(&ground).await;

    ground.prepare(7).await;
    fs::rename(&tree, &old).unwrap();
    fs::remove_file(ground.entry(7).join("HEAD")).unwrap();
    remove(&ground, Unsaved::Keep).await.unwrap();
    is_gone(&ground).await;

    let tree = ground.prepare(7).await.path;
    fs::create_dir(&old).unwrap();
    assert_eq!(ground.prepare(7).await.path, tree);
    assert!(!old.exists());
}

#[tokio::test]
async fn what_is_not_ours_is_not_removed() {
    let ground = Ground::new();
    ground.prepare(1).await;
    fs::create_dir(ground.tree(7)).unwrap();
    fs::write(ground.tree(7).join("foreign"), "").unwrap();
    remove(&ground, Unsaved::Discard).await.unwrap();
    assert!(ground.tree(7).join("foreign").exists());
}

#[tokio::test]
async fn a_branch_that_another_worktree_is_on_stays() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    git(&tree, &["checkout", "--quiet", "--detach"]);
    let other = ground.path().join("other");
    git(&tree, &["worktree", "add", "--quiet", other.to_str().unwrap(), "fix/issue-7"]);
    remove(&ground, Unsaved::Discard).await.unwrap();
    assert_eq!(git(&other, &["rev-parse", "--abbrev-ref", "HEAD"]), "fix/issue-7");
    let error = ground.try_prepare(7).await.unwrap_err();
    assert!(matches!(&error, WorktreeError::InTheWay { path, .. } if *path == other), "{error}");
}
