use std::fs;
use std::os::unix::fs::PermissionsExt;

use kugetsu_core::{Unsaved, WorktreeError, WorktreeProvider, WorktreeSpec};

use crate::ground::{Ground, commit, git, issue, picture};

#[tokio::test]
async fn a_worktree_is_on_the_issues_branch_with_the_remotes_files() {
    let ground = Ground::new();
    let worktree = ground.prepare(7).await;
    assert!(worktree.created);
    assert_eq!(worktree.branch, "fix/issue-7");
    assert_eq!(worktree.path, ground.tree(7));
    assert_eq!(worktree.repository, ground.clone());
    assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), ground.remote.head().unwrap());
    assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(worktree.path.join("file-3.txt")).unwrap(), "3\n");
    assert_eq!(ground.left_over(), Vec::<String>::new());
}

#[tokio::test]
async fn git_finds_nothing_wrong_with_clone_and_worktree() {
    let ground = Ground::new();
    let worktree = ground.prepare(7).await;
    let listed = git(&ground.clone(), &["worktree", "list", "--porcelain"]);
    assert!(listed.contains(&format!("worktree {}", worktree.path.display())), "{listed}");
    assert!(!listed.contains("prunable") && !listed.contains("locked"), "{listed}");
    git(&ground.clone(), &["fsck", "--strict"]);
    git(&worktree.path, &["worktree", "prune"]);
    commit(&worktree.path, "a.txt");
    git(&worktree.path, &["push", "--quiet", "-u", "origin", "HEAD"]);
    git(&ground.clone(), &["gc", "--quiet"]);
    assert_eq!(ground.inspect(7).await.unwrap().unpushed, 0);
    assert_eq!(
        git(&worktree.path, &["symbolic-ref", "refs/remotes/origin/HEAD"]),
        "refs/remotes/origin/main"
    );
}

#[tokio::test]
async fn preparing_twice_is_preparing_once() {
    let ground = Ground::new();
    let first = ground.prepare(7).await;
    fs::write(first.path.join("notes.txt"), "mine").unwrap();
    fs::write(first.path.join("README.md"), "changed").unwrap();
    let own = commit(&first.path, "b.txt");
    fs::write(first.path.join("README.md"), "changed again").unwrap();
    let before = picture(&first.path);
    let second = ground.again().prepare(&WorktreeSpec::new(issue(7))).await.unwrap();
    assert!(!second.created);
    assert_eq!(second, first.clone().with_created(false));
    assert_eq!(picture(&first.path), before);
    assert_eq!(git(&first.path, &["rev-parse", "HEAD"]), own);
}

#[tokio::test]
async fn the_operators_checkout_is_never_touched() {
    let ground = Ground::new();
    fs::write(ground.remote.path().join("unsaved.txt"), "the operator's").unwrap();
    let before = picture(ground.remote.path());
    ground.prepare(7).await;
    commit(&ground.tree(7), "x.txt");
    ground.prepare(8).await;
    ground.inspect(7).await.unwrap();
    ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
    assert_eq!(picture(ground.remote.path()), before);
}

#[tokio::test]
async fn a_new_worktree_starts_from_the_remote_as_it_is_now() {
    let ground = Ground::new();
    ground.prepare(1).await;
    let newer = ground.remote.commit("new.txt", "new\n", "newer").unwrap();
    ground.remote.git(&["branch", "doomed"]).unwrap();
    let second = ground.prepare(2).await;
    assert_eq!(git(&second.path, &["rev-parse", "HEAD"]), newer);
    assert!(git(&ground.clone(), &["branch", "--remotes"]).contains("origin/doomed"));
    ground.remote.git(&["branch", "-D", "doomed"]).unwrap();
    ground.remote.git(&["branch", "doomed/deeper"]).unwrap();
    ground.prepare(3).await;
    let branches = git(&ground.clone(), &["branch", "--remotes", "--format=%(refname:short)"]);
    assert!(branches.contains("origin/doomed/deeper"), "{branches}");
    assert!(!branches.lines().any(|line| line == "origin/doomed"), "{branches}");
}

#[tokio::test]
async fn a_fetch_never_moves_an_agents_branch() {
    let ground = Ground::new();
    let worktree = ground.prepare(1).await;
    let own = commit(&worktree.path, "own.txt");
    ground.remote.git(&["branch", "fix/issue-1"]).unwrap();
    ground.prepare(2).await;
    assert_eq!(git(&worktree.path, &["rev-parse", "fix/issue-1"]), own);
    assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), own);
}

#[tokio::test]
async fn the_base_is_the_one_asked_for() {
    let ground = Ground::new();
    let main = ground.remote.head().unwrap();
    ground.remote.git(&["checkout", "--quiet", "-b", "release/1.x"]).unwrap();
    let release = ground.remote.commit("r.txt", "r\n", "release").unwrap();
    ground.remote.git(&["checkout", "--quiet", "main"]).unwrap();
    let spec = |number, base: &str| WorktreeSpec::new(issue(number)).with_base(Some(base.into()));
    let one = ground.worktrees.prepare(&spec(1, "release/1.x")).await.unwrap();
    assert_eq!(git(&one.path, &["rev-parse", "HEAD"]), release);
    let two = ground.prepare(2).await;
    assert_eq!(git(&two.path, &["rev-parse", "HEAD"]), main);
    for hostile in ["nope", "../main", "-x", "main^", "", "a..b", "HEAD:README.md", "a b", "x\n"] {
        let error = ground.worktrees.prepare(&spec(3, hostile)).await.unwrap_err();
        assert!(matches!(error, WorktreeError::NoBaseBranch { .. }), "{hostile:?}: {error}");
        assert!(!ground.tree(3).exists());
    }
}

#[tokio::test]
async fn the_default_branch_is_asked_for_each_time() {
    let ground = Ground::new();
    ground.prepare(1).await;
    ground.remote.git(&["checkout", "--quiet", "-b", "trunk"]).unwrap();
    let trunk = ground.remote.commit("t.txt", "t\n", "trunk").unwrap();
    let two = ground.prepare(2).await;
    assert_eq!(git(&two.path, &["rev-parse", "HEAD"]), trunk);
    assert_eq!(ground.inspect(2).await.unwrap().base.as_deref(), Some("trunk"));
}

#[tokio::test]
async fn a_lost_directory_is_made_again_from_the_branch() {
    let ground = Ground::new();
    let first = ground.prepare(7).await;
    let own = commit(&first.path, "own.txt");
    fs::remove_dir_all(&first.path).unwrap();
    assert_eq!(ground.inspect(7).await, None);
    let again = ground.prepare(7).await;
    assert!(again.created);
    assert_eq!(git(&again.path, &["rev-parse", "HEAD"]), own);
    assert_eq!(git(&again.path, &["status", "--porcelain"]), "");
    assert_eq!(ground.inspect(7).await.unwrap().ahead, 1);
}

#[tokio::test]
async fn a_branch_that_only_the_remote_has_is_gone_on_with() {
    let ground = Ground::new();
    let first = ground.prepare(7).await;
    let own = commit(&first.path, "own.txt");
    git(&first.path, &["push", "--quiet", "origin", "HEAD"]);
    ground.worktrees.remove(&issue(7), Unsaved::Keep).await.unwrap();
    let again = ground.prepare(7).await;
    assert_eq!(git(&again.path, &["rev-parse", "HEAD"]), own);
}

#[tokio::test]
async fn another_branch_that_the_agent_checked_out_stays() {
    let ground = Ground::new();
    let first = ground.prepare(7).await;
    git(&first.path, &["checkout", "--quiet", "-b", "better-name"]);
    let again = ground.prepare(7).await;
    assert_eq!((again.branch.as_str(), again.created), ("better-name", false));
    git(&first.path, &["checkout", "--quiet", "--detach"]);
    assert_eq!(ground.prepare(7).await.branch, "HEAD");
}

#[tokio::test]
async fn a_repository_without_commits_is_told() {
    let ground = Ground::new();
    let empty = ground.path().join("empty");
    fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "--quiet"]);
    let worktrees = ground.from(empty.to_str().unwrap());
    let error = worktrees.prepare(&WorktreeSpec::new(issue(1))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the repository git.example/acme/widgets cannot be had: \
         it has no commits to start from; push a first one"
    );
    commit(&empty, "first.txt");
    worktrees.prepare(&WorktreeSpec::new(issue(1))).await.unwrap();
}

#[tokio::test]
async fn only_we_can_enter_what_is_made() {
    let ground = Ground::new();
    ground.prepare(7).await;
    for directory in [
        ground.path().join("worktrees"),
        ground.path().join("repos"),
        ground.clone(),
        ground.tree(7),
        ground.entry(7),
    ] {
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", directory.display());
    }
}

#[tokio::test]
async fn shallow_remotes_and_tags_are_taken_as_they_are() {
    let ground = Ground::new();
    ground.remote.git(&["tag", "v1"]).unwrap();
    let shallow = ground.path().join("shallow");
    let url = format!("file://{}", ground.remote.path().display());
    git(&ground.path(), &["clone", "--quiet", "--depth=1", &url, shallow.to_str().unwrap()]);
    let worktrees = ground.from(shallow.to_str().unwrap());
    let worktree = worktrees.prepare(&WorktreeSpec::new(issue(1))).await.unwrap();
    assert_eq!(git(&worktree.path, &["rev-list", "--count", "HEAD"]), "1");
    assert_eq!(git(&worktree.path, &["tag"]), "v1");
    git(&ground.clone(), &["fsck"]);
    worktrees.prepare(&WorktreeSpec::new(issue(2))).await.unwrap();
}
