//! Removing worktrees, and never work.

use std::fs;

use kugetsu_core::Unsaved;

use super::WorktreeFixture;
use super::ground::{
    commit, fine, git, ground, head, inspect, issue, kept, prepare, push, read, well, write,
};

pub(super) async fn a_worktree_without_work_is_removed(f: &dyn WorktreeFixture) {
    for unsaved in [Unsaved::Keep, Unsaved::Discard] {
        let (source, provider) = ground(f).await;
        let worktree = prepare(&*provider, &issue(1)).await;
        fine(provider.remove(&issue(1), unsaved).await);
        assert!(!worktree.path.exists());
        for provider in [&provider, &f.open().await] {
            assert_eq!(fine(provider.inspect(&issue(1)).await), None);
            assert_eq!(fine(provider.list().await), []);
        }
        // Another one begins where the source is by then.
        let newer = well(source.commit("newer.txt", &format!("{unsaved:?}\n"), "go on"));
        let again = prepare(&*provider, &issue(1)).await;
        assert!(again.created);
        assert_eq!(head(&again.path), newer);
        fine(provider.remove(&issue(1), unsaved).await);
    }
}

pub(super) async fn removing_what_is_not_there_is_done_already(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    for unsaved in [Unsaved::Keep, Unsaved::Discard] {
        fine(provider.remove(&issue(1), unsaved).await);
        prepare(&*provider, &issue(1)).await;
        fine(provider.remove(&issue(1), unsaved).await);
        fine(provider.remove(&issue(1), unsaved).await);
    }
}

pub(super) async fn uncommitted_work_is_kept(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "new.txt", "new\n");
    assert_eq!(kept(&*provider, &worktree).await, (1, 0));
    write(&worktree, "README.md", "changed\n");
    assert_eq!(kept(&*provider, &worktree).await, (2, 0));
    git(&worktree.path, &["add", "--all"]);
    assert_eq!(kept(&*f.open().await, &worktree).await, (2, 0));
    assert_eq!(read(&worktree, "new.txt").as_deref(), Some("new\n"));
    assert_eq!(read(&worktree, "README.md").as_deref(), Some("changed\n"));
    assert_eq!(inspect(&*provider, &issue(1)).await.dirty, 2);
    assert!(!prepare(&*provider, &issue(1)).await.created);
}

pub(super) async fn commits_that_are_nowhere_else_are_kept(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    let done = commit(&worktree, "do it");
    assert_eq!(kept(&*provider, &worktree).await, (0, 1));
    write(&worktree, "more.txt", "more\n");
    assert_eq!(kept(&*f.open().await, &worktree).await, (1, 1));
    assert_eq!(head(&worktree.path), done);
    assert_eq!(read(&worktree, "more.txt").as_deref(), Some("more\n"));
}

pub(super) async fn commits_outlive_their_directory(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    let done = commit(&worktree, "do it");
    well(fs::remove_dir_all(&worktree.path));
    // Whether it is refused, or only forgets the directory: the commit is still there.
    let _ = provider.remove(&issue(1), Unsaved::Keep).await;
    let again = prepare(&*provider, &issue(1)).await;
    assert_eq!(head(&again.path), done);
    assert_eq!(read(&again, "done.txt").as_deref(), Some("done\n"));
}

pub(super) async fn a_worktree_whose_commits_are_elsewhere_is_removed(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    let done = commit(&worktree, "do it");
    push(&worktree);
    fine(provider.remove(&issue(1), Unsaved::Keep).await);
    assert!(!worktree.path.exists());
    assert_eq!(fine(provider.list().await), []);
    assert_eq!(well(source.git(&["rev-parse", &worktree.branch])), done);
}

pub(super) async fn work_that_is_to_be_discarded_is_gone(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    commit(&worktree, "do it");
    write(&worktree, "more.txt", "more\n");
    fine(provider.remove(&issue(1), Unsaved::Discard).await);
    assert!(!worktree.path.exists());
    assert_eq!(fine(provider.inspect(&issue(1)).await), None);
    let again = prepare(&*provider, &issue(1)).await;
    assert!(again.created);
    assert_eq!(head(&again.path), well(source.head()));
    assert_eq!((read(&again, "done.txt"), read(&again, "more.txt")), (None, None));
}

pub(super) async fn removing_one_worktree_leaves_the_others_alone(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let mut others = vec![];
    for number in [1, 10, 11] {
        let worktree = prepare(&*provider, &issue(number)).await;
        write(&worktree, "done.txt", "done\n");
        let done = commit(&worktree, "do it");
        write(&worktree, "more.txt", "more\n");
        others.push((worktree, done));
    }
    let (worktree, _) = others.remove(0);
    fine(provider.remove(&issue(1), Unsaved::Discard).await);
    assert!(!worktree.path.exists());
    for (worktree, done) in &others {
        let status = inspect(&*f.open().await, &worktree.issue).await;
        assert_eq!(status.head.as_ref(), Some(done));
        assert_eq!((status.dirty, status.unpushed), (1, 1));
    }
    assert_eq!(fine(provider.list().await).len(), 2);
}
