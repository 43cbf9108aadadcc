//! Making a worktree, or finding the one that is there.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use kugetsu_core::{Unsaved, WorktreeError, WorktreeSpec};

use super::WorktreeFixture;
use super::ground::{
    commit, fine, git, ground, head, inspect, issue, prepare, push, read, repository, snapshot,
    well, write,
};
use crate::suite::promise::at_once;
use crate::suite::sample::issue_of;

pub(super) async fn a_worktree_is_a_clean_checkout_of_the_default_branch_on_a_branch_of_its_own(
    f: &dyn WorktreeFixture,
) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    assert!(worktree.created);
    assert_eq!(worktree.issue, issue(1));
    assert_eq!(worktree.branch, issue(1).branch());
    assert!(worktree.path.is_absolute());
    assert_eq!(well(worktree.path.canonicalize()), worktree.path, "a path with symbolic links");
    assert!(worktree.repository.is_dir(), "{}", worktree.repository.display());

    // It is an ordinary worktree, as git sees it.
    assert_eq!(git(&worktree.path, &["symbolic-ref", "--short", "HEAD"]), worktree.branch);
    assert_eq!(head(&worktree.path), well(source.head()));
    assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "");
    assert_eq!(read(&worktree, "README.md").as_deref(), Some("# Sample\n"));
    write(&worktree, "new.txt", "new\n");
    commit(&worktree, "add a file");
    let log = git(&worktree.path, &["log", "--format=%s", "-1"]);
    assert_eq!(log, "add a file");
}

pub(super) async fn a_worktree_starts_from_the_base_that_is_asked_for(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    well(source.git(&["checkout", "--quiet", "-b", "release/2.x"]));
    let release = well(source.commit("release.txt", "2\n", "begin the release"));
    well(source.git(&["checkout", "--quiet", "main"]));
    let spec = WorktreeSpec::new(issue(1)).with_base(Some("release/2.x".into()));
    let worktree = fine(provider.prepare(&spec).await);
    assert_eq!(head(&worktree.path), release);
    assert_eq!(worktree.branch, issue(1).branch());
    let other = prepare(&*provider, &issue(2)).await;
    assert_eq!(head(&other.path), well(source.head()));
}

pub(super) async fn a_worktree_starts_from_the_source_as_it_is_now(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    prepare(&*provider, &issue(1)).await;
    let newer = well(source.commit("newer.txt", "newer\n", "go on"));
    assert_eq!(head(&prepare(&*provider, &issue(2)).await.path), newer);
    well(source.git(&["branch", "later"]));
    let spec = WorktreeSpec::new(issue(3)).with_base(Some("later".into()));
    assert_eq!(head(&fine(provider.prepare(&spec).await).path), newer);
}

pub(super) async fn a_base_that_is_not_there_is_refused(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    for base in ["no/such-branch", "--upload-pack=touch pwned", "", "a b", "..", "HEAD~1"] {
        let spec = WorktreeSpec::new(issue(1)).with_base(Some(base.into()));
        match provider.prepare(&spec).await {
            Err(WorktreeError::NoBaseBranch { branch, .. }) => assert_eq!(branch, base),
            other => panic!("{base:?}: instead of `NoBaseBranch` there was {other:?}"),
        }
        assert_eq!(fine(provider.inspect(&issue(1)).await), None);
        assert_eq!(fine(provider.list().await), []);
    }
    assert!(prepare(&*provider, &issue(1)).await.created);
    // It does not matter any more, now that the worktree is there.
    let spec = WorktreeSpec::new(issue(1)).with_base(Some("no/such-branch".into()));
    assert!(!fine(provider.prepare(&spec).await).created);
}

pub(super) async fn a_repository_that_cannot_be_had_is_refused(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let lost = issue_of(&f.missing().to_string(), 1);
    for _ in 0..2 {
        match provider.prepare(&WorktreeSpec::new(lost.clone())).await {
            Err(WorktreeError::NoRepository { why, .. }) => assert!(!why.trim().is_empty()),
            other => panic!("instead of `NoRepository` there was {other:?}"),
        }
        assert_eq!(fine(provider.inspect(&lost).await), None);
        fine(provider.remove(&lost, Unsaved::Keep).await);
    }
    assert_eq!(fine(provider.list().await), []);
    prepare(&*provider, &issue(1)).await;
}

pub(super) async fn preparing_twice_is_preparing_once(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let first = prepare(&*provider, &issue(1)).await;
    for provider in [provider, f.open().await] {
        let again = prepare(&*provider, &issue(1)).await;
        assert_eq!(again, first.clone().with_created(false));
    }
}

pub(super) async fn preparing_keeps_what_was_done_whatever_the_source_does(
    f: &dyn WorktreeFixture,
) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    let done = commit(&worktree, "do it");
    push(&worktree);
    write(&worktree, "README.md", "changed\n");
    write(&worktree, "staged.txt", "staged\n");
    git(&worktree.path, &["add", "staged.txt"]);
    write(&worktree, "deep/er/untracked.txt", "untracked\n");
    well(fs::remove_file(worktree.path.join("done.txt")));
    let status = git(&worktree.path, &["status", "--porcelain"]);

    // The source goes on, and somebody puts another history in the place of the branch.
    well(source.commit("newer.txt", "newer\n", "go on"));
    well(source.git(&["branch", "--force", &worktree.branch, "main"]));

    for provider in [provider, f.open().await] {
        let again = prepare(&*provider, &issue(1)).await;
        assert_eq!(again, worktree.clone().with_created(false));
        assert_eq!(head(&worktree.path), done);
        assert_eq!(git(&worktree.path, &["status", "--porcelain"]), status);
        assert_eq!(read(&worktree, "README.md").as_deref(), Some("changed\n"));
        assert_eq!(read(&worktree, "deep/er/untracked.txt").as_deref(), Some("untracked\n"));
    }
}

pub(super) async fn many_who_prepare_one_worktree_at_once_get_the_same(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let providers = [provider, f.open().await];
    let prepared = at_once((0..8).map(|number| {
        let provider = Arc::clone(&providers[number % 2]);
        async move { prepare(&*provider, &issue(1)).await }
    }))
    .await;
    let made = prepared.iter().filter(|worktree| worktree.created).count();
    assert_eq!(made, 1, "so many say that they have made it");
    for worktree in &prepared {
        assert_eq!(worktree.clone().with_created(true), prepared[0].clone().with_created(true));
    }
    assert_eq!(head(&prepared[0].path), well(source.head()));
    assert_eq!(git(&prepared[0].path, &["status", "--porcelain"]), "");
    assert_eq!(fine(providers[1].list().await).len(), 1);
}

pub(super) async fn many_issues_prepared_at_once_get_a_worktree_each(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let providers = [provider, f.open().await];
    let prepared = at_once((1..=8).map(|number| {
        let provider = Arc::clone(&providers[number % 2]);
        async move { prepare(&*provider, &issue(number as u64)).await }
    }))
    .await;
    let paths: BTreeSet<_> = prepared.iter().map(|worktree| &worktree.path).collect();
    assert_eq!(paths.len(), 8, "{paths:?}");
    for (number, worktree) in (1..).zip(&prepared) {
        assert!(worktree.created);
        assert_eq!(worktree.issue, issue(number));
        assert_eq!(git(&worktree.path, &["symbolic-ref", "--short", "HEAD"]), worktree.branch);
        assert_eq!(head(&worktree.path), well(source.head()));
    }
}

pub(super) async fn issues_that_look_alike_have_worktrees_of_their_own(f: &dyn WorktreeFixture) {
    let alike =
        ["git.example/a/b-c", "git.example/a-b/c", "git.example/A/b-c", "git.example/a/b/c"];
    let mut heads = vec![];
    for (number, text) in alike.iter().enumerate() {
        let source = f.source(&repository(text)).await;
        heads.push(well(source.commit("which.txt", &format!("{number}\n"), "say which")));
    }
    let provider = f.open().await;
    let mut paths = BTreeSet::new();
    for (text, wanted) in alike.iter().zip(&heads) {
        let worktree = prepare(&*provider, &issue_of(text, 1)).await;
        assert_eq!(head(&worktree.path), *wanted, "{text}");
        // A file system that ignores case must not matter either.
        paths.insert(worktree.path.to_string_lossy().to_lowercase());
    }
    assert_eq!(paths.len(), alike.len(), "{paths:?}");
}

pub(super) async fn a_worktree_whose_directory_is_gone_is_made_again_from_its_branch(
    f: &dyn WorktreeFixture,
) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "done.txt", "done\n");
    let done = commit(&worktree, "do it");
    well(source.commit("newer.txt", "newer\n", "go on"));
    well(fs::remove_dir_all(&worktree.path));
    for provider in [provider, f.open().await] {
        let again = prepare(&*provider, &issue(1)).await;
        assert_eq!(again, worktree);
        assert_eq!(head(&again.path), done);
        assert_eq!(read(&again, "done.txt").as_deref(), Some("done\n"));
        assert_eq!(git(&again.path, &["status", "--porcelain"]), "");
        well(fs::remove_dir_all(&worktree.path));
    }
}

pub(super) async fn what_is_in_the_way_is_left_alone(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    fine(provider.remove(&issue(1), Unsaved::Keep).await);
    assert!(!worktree.path.exists());
    write(&worktree, "precious.txt", "mine\n");
    match provider.prepare(&WorktreeSpec::new(issue(1))).await {
        Err(WorktreeError::InTheWay { path, .. }) => assert_eq!(path, worktree.path),
        other => panic!("instead of `InTheWay` there was {other:?}"),
    }
    assert_eq!(read(&worktree, "precious.txt").as_deref(), Some("mine\n"));
    // Whether that is told or not, it is not deleted.
    let _ = provider.remove(&issue(1), Unsaved::Keep).await;
    assert_eq!(read(&worktree, "precious.txt").as_deref(), Some("mine\n"));
    well(fs::remove_dir_all(&worktree.path));
    prepare(&*provider, &issue(1)).await;
}

pub(super) async fn the_checkout_of_the_operator_is_never_touched(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    well(source.commit(".gitignore", "*.log\n", "ignore logs"));
    for (file, text) in [("README.md", "mine\n"), ("mine.txt", "mine\n"), ("debug.log", "mine\n")] {
        well(fs::write(source.path().join(file), text));
    }
    well(source.git(&["branch", &issue(1).branch()]));
    well(source.git(&["add", "mine.txt"]));
    let before = snapshot(&source);
    let worktree = prepare(&*provider, &issue(1)).await;
    assert!(!worktree.path.starts_with(source.path()), "{}", worktree.path.display());
    assert!(!worktree.repository.starts_with(source.path()), "{}", worktree.repository.display());
    write(&worktree, "done.txt", "done\n");
    commit(&worktree, "do it");
    inspect(&*provider, &issue(1)).await;
    prepare(&*provider, &issue(1)).await;
    prepare(&*provider, &issue(2)).await;
    fine(provider.remove(&issue(1), Unsaved::Discard).await);
    fine(provider.remove(&issue(2), Unsaved::Keep).await);
    assert_eq!(snapshot(&source), before);
}
