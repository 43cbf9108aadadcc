//! What state worktrees are in.

use std::fs;

use kugetsu_core::{IssueRef, WorktreeSpec};

use super::WorktreeFixture;
use super::ground::{
    commit, fine, git, ground, head, inspect, issue, prepare, push, repository, well, write,
};
use crate::suite::sample::issue_of;

pub(super) async fn there_is_nothing_to_inspect_where_no_worktree_is(f: &dyn WorktreeFixture) {
    let (_source, provider) = ground(f).await;
    assert_eq!(fine(provider.inspect(&issue(1)).await), None);
    assert_eq!(fine(provider.list().await), []);
    prepare(&*provider, &issue(1)).await;
    assert_eq!(fine(provider.inspect(&issue(11)).await), None);
    assert_eq!(fine(provider.inspect(&issue_of("git.example/acme/gadgets", 1)).await), None);
}

pub(super) async fn files_that_are_not_committed_are_counted(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    well(source.commit(".gitignore", "*.log\n", "ignore logs"));
    well(source.commit("old.txt", "old\n", "add a file"));
    let worktree = prepare(&*provider, &issue(1)).await;
    let dirty = async || inspect(&*provider, &issue(1)).await.dirty;
    assert_eq!(dirty().await, 0);
    write(&worktree, "debug.log", "ignored\n");
    assert_eq!(dirty().await, 0, "an ignored file");
    write(&worktree, "README.md", "changed\n");
    assert_eq!(dirty().await, 1, "a changed file");
    well(fs::remove_file(worktree.path.join("old.txt")));
    assert_eq!(dirty().await, 2, "a deleted file");
    write(&worktree, "new.txt", "new\n");
    assert_eq!(dirty().await, 3, "an untracked file");
    write(&worktree, "deep/one.txt", "1\n");
    write(&worktree, "deep/er/two.txt", "2\n");
    assert_eq!(dirty().await, 5, "untracked files in an untracked directory");
    git(&worktree.path, &["add", "--all"]);
    assert_eq!(dirty().await, 5, "all that is staged");
    let status = inspect(&*f.open().await, &issue(1)).await;
    assert_eq!((status.dirty, status.ahead, status.unpushed), (5, 0, 0));
    assert!(status.has_unsaved_work());
    commit(&worktree, "do it");
    assert_eq!(dirty().await, 0);
}

pub(super) async fn commits_are_counted(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    let state = async || {
        let status = inspect(&*provider, &issue(1)).await;
        assert_eq!(status.head, Some(head(&worktree.path)));
        assert_eq!(status.worktree, worktree.clone().with_created(false));
        assert_eq!(status.base.as_deref(), Some("main"));
        (status.ahead, status.unpushed)
    };
    assert_eq!(state().await, (0, 0));
    for number in 1..=3 {
        write(&worktree, "done.txt", &format!("{number}\n"));
        commit(&worktree, "do it");
        assert_eq!(state().await, (number, number));
    }
    push(&worktree);
    assert_eq!(state().await, (3, 0), "pushed");
    write(&worktree, "done.txt", "4\n");
    commit(&worktree, "do it");
    assert_eq!(state().await, (4, 1), "one more");

    // That the base goes on is no work of the issue's.
    well(source.commit("newer.txt", "newer\n", "go on"));
    prepare(&*provider, &issue(2)).await;
    assert_eq!(state().await, (4, 1), "the base went on");
}

pub(super) async fn commits_on_another_base_are_counted_from_there(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    well(source.git(&["checkout", "--quiet", "-b", "develop"]));
    well(source.commit("develop.txt", "develop\n", "develop"));
    well(source.git(&["checkout", "--quiet", "main"]));
    let spec = WorktreeSpec::new(issue(1)).with_base(Some("develop".into()));
    let worktree = fine(provider.prepare(&spec).await);
    write(&worktree, "done.txt", "done\n");
    commit(&worktree, "do it");
    // Also when it is found, and not made.
    prepare(&*f.open().await, &issue(1)).await;
    let status = inspect(&*f.open().await, &issue(1)).await;
    assert_eq!(status.base.as_deref(), Some("develop"));
    assert_eq!((status.dirty, status.ahead, status.unpushed), (0, 1, 1));
}

pub(super) async fn inspecting_changes_nothing(f: &dyn WorktreeFixture) {
    let (source, provider) = ground(f).await;
    let worktree = prepare(&*provider, &issue(1)).await;
    write(&worktree, "new.txt", "new\n");
    write(&worktree, "README.md", "changed\n");
    let refs = || git(&worktree.path, &["for-each-ref"]);
    let before = (refs(), inspect(&*provider, &issue(1)).await);
    // Not even what the source has new is fetched.
    well(source.commit("newer.txt", "newer\n", "go on"));
    for _ in 0..3 {
        let now = inspect(&*provider, &issue(1)).await;
        assert_eq!((refs(), now), before);
        fine(provider.list().await);
    }
    assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "M README.md\n?? new.txt");
}

pub(super) async fn worktrees_are_listed_by_issue(f: &dyn WorktreeFixture) {
    let repositories = ["git.example/b/x", "git.example/acme/widgets", "git.example/a/b/c"];
    for text in repositories {
        f.source(&repository(text)).await;
    }
    let provider = f.open().await;
    let mut issues: Vec<IssueRef> = vec![];
    for number in [10, 2, 1] {
        issues.extend(repositories.map(|text| issue_of(text, number)));
    }
    let mut made = vec![];
    for issue in &issues {
        made.push(prepare(&*provider, issue).await.with_created(false));
        made.sort_by(|a, b| a.issue.cmp(&b.issue));
        assert_eq!(fine(provider.list().await), made);
    }
    assert_eq!(fine(f.open().await.list().await), made);
}
