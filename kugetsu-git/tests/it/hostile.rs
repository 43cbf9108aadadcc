//! References and repositories of somebody who means harm.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use kugetsu_core::{IssueRef, RepoRef, Unsaved, WorktreeProvider, WorktreeSpec};
use kugetsu_git::{GitWorktrees, InvalidSource, Source, Sources};

use crate::ground::{Ground, commit, git, hermetic, issue, script};

#[derive(Debug)]
struct AllFrom(Source);

impl Sources for AllFrom {
    fn source(&self, _: &RepoRef) -> Result<Source, InvalidSource> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn odd_references_get_worktrees_of_their_own_inside_the_roots() {
    let ground = Ground::new();
    let root = ground.path();
    let source = Source::parse(ground.remote.path().to_str().unwrap()).unwrap();
    let worktrees =
        GitWorktrees::new(root.join("worktrees"), root.join("repos"), Arc::new(AllFrom(source)));
    let worktrees = hermetic(worktrees, &root);
    let long = "o".repeat(200);
    let references = [
        "h.example/a/b-c#1".to_owned(),
        "h.example/a-b/c#1".into(),
        "h.example/a/b/c#1".into(),
        "h.example/a/b#1".into(),
        "h.example/A/b#1".into(),
        "h.example:8443/a/b#1".into(),
        "localhost:1/a/b#1".into(),
        "h.example/_/_#1".into(),
        "h.example/a..b/c--d#1".into(),
        "h.example/con/nul#18446744073709551615".into(),
        "h.example/a/b.git.x#1".into(),
        format!("h.example/{long}/{long}#9"),
    ];
    let mut places = HashSet::new();
    for reference in &references {
        let issue: IssueRef = reference.parse().unwrap();
        let worktree = worktrees.prepare(&WorktreeSpec::new(issue.clone())).await.unwrap();
        assert_eq!(worktree.path.parent(), Some(root.join("worktrees").as_path()), "{reference}");
        assert!(worktree.repository.starts_with(root.join("repos")), "{reference}");
        assert!(places.insert(worktree.path.clone()), "{reference}");
        assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "", "{reference}");
        let status = worktrees.inspect(&issue).await.unwrap().unwrap();
        assert_eq!(status.worktree.issue, issue);
    }
    assert_eq!(worktrees.list().await.unwrap().len(), references.len());
    for reference in &references {
        worktrees.remove(&reference.parse().unwrap(), Unsaved::Keep).await.unwrap();
    }
    worktrees.recover().await.unwrap();
    assert_eq!(fs::read_dir(root.join("worktrees")).unwrap().count(), 0);
}

/// Everything in git that runs a program, pointed at a canary.
fn plant(clone: &Path, tree: &Path, canary: &Path) {
    let run = canary.to_str().unwrap();
    for (name, value) in [
        ("core.fsmonitor", run),
        ("core.sshCommand", run),
        ("core.askPass", run),
        ("core.pager", run),
        ("core.editor", run),
        ("core.gitProxy", run),
        ("core.alternateRefsCommand", run),
        ("credential.helper", &format!("!{run}")),
        ("diff.external", run),
        ("diff.evil.textconv", run),
        ("diff.evil.command", run),
        ("filter.evil.smudge", run),
        ("filter.evil.clean", run),
        ("filter.evil.process", run),
        ("filter.evil.required", "true"),
        ("remote.origin.uploadpack", run),
        ("remote.origin.receivepack", run),
        ("remote.origin.vcs", "evil"),
        ("uploadpack.packObjectsHook", run),
        ("gpg.program", run),
        ("commit.gpgSign", "true"),
        ("gc.auto", "1"),
        ("url.ext::sh.insteadOf", "/"),
        ("protocol.ext.allow", "always"),
        ("alias.read-tree", &format!("!{run}")),
        ("sequence.editor", run),
        ("core.hooksPath", tree.join("hooks").to_str().unwrap()),
        ("include.path", "/dev/null"),
        ("submodule.recurse", "true"),
        ("worktree.useRelativePaths", "false"),
    ] {
        git(clone, &["config", "--replace-all", name, value]);
    }
    for hook in [
        "post-checkout",
        "post-index-change",
        "reference-transaction",
        "pre-auto-gc",
        "post-merge",
        "fsmonitor-watchman",
        "pre-commit",
        "update",
    ] {
        for directory in [clone.join("hooks"), tree.join("hooks")] {
            script(&directory.join(hook), &fs::read_to_string(canary).unwrap());
        }
    }
    fs::create_dir_all(clone.join("info")).unwrap();
    fs::write(clone.join("info/attributes"), "* filter=evil diff=evil\n").unwrap();
    fs::write(tree.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
}

#[tokio::test]
async fn nothing_that_an_agent_configures_runs_in_our_own_git() {
    let ground = Ground::new();
    let fired = ground.path().join("fired");
    let canary = ground.path().join("canary");
    // The repository's own content asks for the filter too.
    ground.remote.commit(".gitattributes", "* filter=evil diff=evil\n", "attributes").unwrap();
    script(&canary, &format!("#!/bin/sh\necho \"$0 $@\" >> '{}'\ncat\n", fired.display()));
    ground.prepare(7).await;
    let tree = ground.prepare(8).await.path;
    commit(&tree, "own.txt");
    plant(&ground.clone(), &tree, &canary);
    ground.remote.commit("more.txt", "more\n", "more").unwrap();

    fs::write(tree.join("README.md"), "changed, so that its content is compared").unwrap();
    fs::remove_dir_all(ground.tree(7)).unwrap();
    ground.prepare(7).await;
    ground.prepare(8).await;
    let fresh = ground.again().prepare(&WorktreeSpec::new(issue(9))).await.unwrap();
    assert!(fresh.path.join("more.txt").exists());
    let status = ground.worktrees.inspect(&issue(8)).await.unwrap().unwrap();
    assert!(status.dirty >= 1);
    ground.worktrees.list().await.unwrap();
    ground.worktrees.remove(&issue(9), Unsaved::Keep).await.unwrap();
    ground.worktrees.remove(&issue(8), Unsaved::Discard).await.unwrap();
    assert_eq!(fs::read_to_string(&fired).unwrap_or_default(), "");

    // The payload is live: a plain git in the same place runs it.
    let plain = std::process::Command::new("git")
        .args(["status"])
        .current_dir(ground.tree(7))
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    drop(plain);
    assert_ne!(fs::read_to_string(&fired).unwrap_or_default(), "");
}

#[tokio::test]
async fn an_agent_cannot_send_our_fetches_elsewhere() {
    let ground = Ground::new();
    ground.prepare(7).await;
    let url = "remote.origin.url";
    git(&ground.clone(), &["config", url, "https://attacker.invalid/x.git"]);
    git(&ground.clone(), &["config", "remote.origin.fetch", "+refs/*:refs/*"]);
    git(&ground.clone(), &["config", "url.https://attacker.invalid/.insteadOf", "/"]);
    git(&ground.clone(), &["config", "http.proxy", "http://attacker.invalid"]);
    let newer = ground.remote.commit("new.txt", "", "newer").unwrap();
    let worktree = ground.prepare(8).await;
    assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), newer);
    let remote = ground.remote.path().to_str().unwrap();
    assert_eq!(git(&ground.clone(), &["config", "--get-all", url]), remote);
}

#[tokio::test]
async fn a_link_or_directory_that_leads_elsewhere_is_not_followed() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let victim = ground.path().join("victim");
    fs::create_dir(&victim).unwrap();
    git(&victim, &["init", "--quiet"]);
    commit(&victim, "precious.txt");
    fs::remove_file(tree.join(".git")).unwrap();
    std::os::unix::fs::symlink(victim.join(".git"), tree.join(".git")).unwrap();
    assert!(ground.try_prepare(7).await.is_err());
    assert!(ground.worktrees.inspect(&issue(7)).await.is_err());
    assert!(ground.worktrees.remove(&issue(7), Unsaved::Keep).await.is_err());
    ground.worktrees.remove(&issue(7), Unsaved::Discard).await.unwrap();
    assert!(victim.join("precious.txt").exists());
    assert!(victim.join(".git/HEAD").exists());
}
