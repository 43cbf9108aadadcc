//! The operator's own checkout, and what a new clone gets of it.

use std::fs;
use std::path::Path;

use kugetsu_core::{WorktreeError, WorktreeProvider, WorktreeSpec};
use kugetsu_git::{Checkout, GitWorktrees};

use crate::ground::{Ground, REPOSITORY, commit, git, issue, picture, script};

/// A checkout of the remote, with a commit that the remote does not have.
struct Own {
    ground: Ground,
    only_here: String,
}

impl Own {
    fn new() -> Self {
        let ground = Ground::new();
        let remote = ground.remote.path().display().to_string();
        git(&ground.path(), &["clone", "--quiet", &remote, "own"]);
        let own = ground.path().join("own");
        let only_here = commit(&own, "only-here.txt");
        git(&own, &["update-ref", "refs/remotes/origin/only-here", &only_here]);
        git(&own, &["update-ref", "refs/remotes/other/x", "HEAD"]);
        Self { ground, only_here }
    }

    fn path(&self) -> std::path::PathBuf {
        self.ground.path().join("own")
    }

    fn worktrees(&self, remote: &str) -> GitWorktrees {
        let checkout = Checkout::find(&self.path()).unwrap();
        let repository = REPOSITORY.parse().unwrap();
        self.ground.again().with_checkout(repository, checkout, remote)
    }
}

fn has(clone: &Path, object: &str) -> bool {
    std::process::Command::new("git")
        .args(["--git-dir", clone.to_str().unwrap(), "cat-file", "-e", object])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[tokio::test]
async fn a_new_clone_takes_the_objects_that_a_checkout_has_and_nothing_else_of_it() {
    let own = Own::new();
    let before = picture(&own.path());
    let worktree = own.worktrees("origin").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert_eq!(picture(&own.path()), before, "the checkout is only read");
    let clone = own.ground.clone();
    assert!(has(&clone, &own.only_here), "no object was taken from the checkout");
    let references = git(&clone, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(
        references.lines().collect::<Vec<_>>(),
        ["refs/heads/fix/issue-7", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]
    );
    let remote = own.ground.remote.path().to_str().unwrap();
    assert_eq!(git(&clone, &["config", "remote.origin.url"]), remote);
    assert!(!clone.join("objects/info/alternates").exists());
    assert_eq!(own.ground.left_over(), Vec::<String>::new());
    // Nothing depends on it.
    fs::remove_dir_all(own.path()).unwrap();
    git(&clone, &["fsck", "--strict", "--full"]);
    assert_eq!(git(&worktree.path, &["log", "--format=%s"]).lines().count(), 3);
}

#[tokio::test]
async fn what_the_checkout_has_of_another_remote_stays_there() {
    let own = Own::new();
    git(&own.path(), &["update-ref", "-d", "refs/remotes/other/x"]);
    own.worktrees("other").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert!(!has(&own.ground.clone(), &own.only_here));
}

#[tokio::test]
async fn what_the_remote_has_meanwhile_is_fetched_too() {
    let own = Own::new();
    let newer = own.ground.remote.commit("newer.txt", "x\n", "newer").unwrap();
    own.ground.remote.git(&["tag", "--annotate", "v1", "--message", "one"]).unwrap();
    let worktree = own.worktrees("origin").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), newer);
    assert_eq!(git(&worktree.path, &["rev-parse", "v1^{commit}"]), newer);
}

#[tokio::test]
async fn nothing_that_is_configured_in_the_checkout_runs() {
    let own = Own::new();
    let ran = own.ground.path().join("ran");
    let canary = own.ground.path().join("canary");
    script(&canary, &format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexec cat\n", ran.display()));
    let canary = canary.to_str().unwrap();
    for name in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "core.gitProxy",
        "core.pager",
        "uploadpack.packObjectsHook",
        "credential.helper",
        "filter.x.smudge",
        "remote.origin.uploadpack",
        "diff.external",
    ] {
        git(&own.path(), &["config", name, canary]);
    }
    git(&own.path(), &["config", "core.hooksPath", "hooks"]);
    for hook in ["post-checkout", "reference-transaction", "post-update", "pre-auto-gc"] {
        let path = own.path().join(".git/hooks").join(hook);
        script(&path, &format!("#!/bin/sh\necho hook >> '{}'\n", ran.display()));
        script(&own.path().join("hooks").join(hook), "#!/bin/sh\nexit 1\n");
    }
    let _ = fs::remove_file(&ran);
    own.worktrees("origin").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert!(has(&own.ground.clone(), &own.only_here), "no object was taken from the checkout");
    assert!(!ran.exists(), "{}", fs::read_to_string(&ran).unwrap_or_default());
}

#[tokio::test]
async fn a_checkout_that_is_broken_or_cut_off_is_passed_over() {
    // Objects that it should have are missing, as in a partial clone.
    let own = Own::new();
    let tree = git(&own.path(), &["rev-parse", "HEAD^{tree}"]);
    fs::remove_file(own.path().join(".git/objects").join(&tree[..2]).join(&tree[2..])).unwrap();
    own.worktrees("origin").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    git(&own.ground.clone(), &["fsck", "--strict", "--full"]);
    // One without the beginning of its history.
    let own = Own::new();
    let remote = format!("file://{}", own.ground.remote.path().display());
    git(&own.ground.path(), &["clone", "--quiet", "--depth=1", &remote, "short"]);
    let checkout = Checkout::find(&own.ground.path().join("short")).unwrap();
    let worktrees =
        own.ground.again().with_checkout(REPOSITORY.parse().unwrap(), checkout, "origin");
    let worktree = worktrees.prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert_eq!(git(&worktree.path, &["log", "--format=%s"]).lines().count(), 3);
}

#[tokio::test]
async fn an_object_that_lies_about_its_name_is_not_taken_over() {
    let own = Own::new();
    let (readme, other) = (
        git(&own.path(), &["rev-parse", "HEAD:README.md"]),
        git(&own.path(), &["rev-parse", "HEAD:file-2.txt"]),
    );
    let objects = own.path().join(".git/objects");
    let place = |id: &str| objects.join(&id[..2]).join(&id[2..]);
    fs::remove_file(place(&readme)).unwrap();
    fs::copy(place(&other), place(&readme)).unwrap();
    let worktree = own.worktrees("origin").prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert_eq!(fs::read_to_string(worktree.path.join("README.md")).unwrap(), "# Sample\n");
    git(&own.ground.clone(), &["fsck", "--strict", "--full"]);
}

#[tokio::test]
async fn without_the_remote_there_is_no_clone_however_much_the_checkout_has() {
    let own = Own::new();
    let checkout = Checkout::find(&own.path()).unwrap();
    let worktrees = own.ground.from("http://127.0.0.1:1/acme/widgets.git").with_checkout(
        REPOSITORY.parse().unwrap(),
        checkout,
        "origin",
    );
    let error = worktrees.prepare(&WorktreeSpec::new(issue(7))).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Unreachable { .. }), "{error}");
    assert!(!own.ground.clone().exists());
    assert_eq!(own.ground.left_over(), Vec::<String>::new());
}

#[test]
fn a_checkout_is_found_from_anywhere_in_it_and_tells_its_remotes() {
    let own = Own::new();
    git(&own.path(), &["remote", "add", "a-fork", "https://me:hunter2@fork.example/a/b"]);
    git(&own.path(), &["worktree", "add", "--quiet", "../beside"]);
    fs::create_dir_all(own.path().join("deep/er")).unwrap();
    for place in [own.path(), own.path().join("deep/er"), own.ground.path().join("beside")] {
        let checkout = Checkout::find(&place).unwrap();
        let names: Vec<&str> = checkout.remotes().map(|(name, _)| name).collect();
        assert_eq!(names, ["origin", "a-fork"], "{}", place.display());
        assert!(!format!("{checkout:?}").contains("hunter2"));
    }
    assert!(Checkout::find(&own.ground.path()).is_none());
}
