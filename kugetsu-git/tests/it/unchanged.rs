//! A source that is as it was is not fetched again.

use std::fs;

use kugetsu_core::{WorktreeProvider as _, WorktreeSpec};
use kugetsu_git::GitWorktrees;

use crate::ground::{Ground, Noting, git, issue};

async fn prepare(worktrees: &GitWorktrees, number: u64) -> String {
    let worktree = worktrees.prepare(&WorktreeSpec::new(issue(number))).await.unwrap();
    assert!(worktree.created);
    git(&worktree.path, &["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_source_on_this_machine_is_compared_without_any_process() {
    let ground = Ground::new();
    let noting = Noting::new(&ground, "");
    let worktrees = ground.again().with_program(&noting.program);
    prepare(&worktrees, 1).await;
    assert_eq!(noting.taken(), ["fetch", "ls-remote", "var"]);
    prepare(&worktrees, 2).await;
    assert_eq!(noting.taken(), Vec::<String>::new());

    let newer = ground.remote.commit("new.txt", "new\n", "newer").unwrap();
    assert_eq!(prepare(&worktrees, 3).await, newer);
    assert_eq!(noting.taken(), ["ls-remote", "fetch"]);
    ground.remote.git(&["tag", "v1"]).unwrap();
    prepare(&worktrees, 4).await;
    assert_eq!(git(&ground.clone(), &["rev-parse", "v1"]), newer);
    assert_eq!(noting.taken(), ["ls-remote", "fetch"]);
    ground.remote.git(&["branch", "more"]).unwrap();
    prepare(&worktrees, 5).await;
    ground.remote.git(&["branch", "-D", "more"]).unwrap();
    prepare(&worktrees, 6).await;
    assert_eq!(noting.taken(), ["ls-remote", "fetch", "ls-remote", "fetch"]);
    assert!(!git(&ground.clone(), &["branch", "--remotes"]).contains("more"));
    prepare(&worktrees, 7).await;
    assert_eq!(noting.taken(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_agent_did_to_the_clones_branches_is_no_reason_to_believe_them() {
    let ground = Ground::new();
    let noting = Noting::new(&ground, "");
    let worktrees = ground.again().with_program(&noting.program);
    let head = prepare(&worktrees, 1).await;
    let older = git(&ground.clone(), &["rev-parse", "refs/remotes/origin/main~1"]);
    git(&ground.clone(), &["update-ref", "refs/remotes/origin/main", &older]);
    assert_eq!(prepare(&worktrees, 2).await, head);
    git(&ground.clone(), &["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/x"]);
    assert_eq!(prepare(&worktrees, 3).await, head);
}

#[tokio::test]
async fn a_remote_is_asked_once_and_fetched_from_when_it_has_news() {
    let ground = Ground::new();
    let noting = Noting::new(&ground, "");
    let address = format!("file://{}", ground.remote.path().display());
    let worktrees = ground.from(&address).with_program(&noting.program);
    prepare(&worktrees, 1).await;
    noting.taken();
    prepare(&worktrees, 2).await;
    assert_eq!(noting.taken(), ["ls-remote"]);
    let newer = ground.remote.commit("new.txt", "new\n", "newer").unwrap();
    assert_eq!(prepare(&worktrees, 3).await, newer);
    assert_eq!(noting.taken(), ["ls-remote", "fetch"]);
}

#[tokio::test]
async fn a_source_that_git_would_see_in_another_way_is_left_to_git() {
    let ground = Ground::new();
    let noting = Noting::new(&ground, "");
    let settings = ground.path().join("settings");
    let elsewhere = ground.path().join("elsewhere");
    git(&ground.path(), &["clone", "--quiet", ground.remote.path().to_str().unwrap(), "elsewhere"]);
    fs::write(&settings, "").unwrap();
    let worktrees = ground
        .again()
        .with_program(&noting.program)
        .with_variable("GIT_CONFIG_GLOBAL", settings.as_os_str());
    prepare(&worktrees, 1).await;
    prepare(&worktrees, 2).await;
    // The user says that this address is to be taken from elsewhere.
    let [elsewhere, remote] = [&elsewhere, ground.remote.path()].map(|path| path.display());
    fs::write(&settings, format!("[url \"{elsewhere}\"]\n\tinsteadOf = {remote}\n")).unwrap();
    ground.remote.commit("new.txt", "new\n", "newer").unwrap();
    let head = prepare(&worktrees, 3).await;
    assert_eq!(head, git(&ground.path().join("elsewhere"), &["rev-parse", "HEAD"]));
    noting.taken();
    // What it hides it does not tell.
    fs::write(&settings, "").unwrap();
    ground.remote.git(&["branch", "secret"]).unwrap();
    ground.remote.git(&["config", "transfer.hideRefs", "refs/heads/secret"]).unwrap();
    prepare(&ground.again().with_program(&noting.program), 4).await;
    assert!(noting.taken().contains(&"ls-remote".to_owned()));
    assert!(!git(&ground.clone(), &["branch", "--remotes"]).contains("secret"));
}
