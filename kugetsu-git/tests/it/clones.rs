//! What is the matter with clones is found and told, and mended without loss.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use kugetsu_core::{WorktreeError, WorktreeProvider as _, WorktreeSpec};
use kugetsu_git::{Fault, Finding};

use crate::ground::{Ground, commit, git, issue, script};

async fn examine(ground: &Ground) -> Vec<Finding> {
    ground.worktrees.examine(&[issue(7)]).await.unwrap()
}

async fn only(ground: &Ground) -> Finding {
    let mut found = examine(ground).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[tokio::test]
async fn locks_in_what_worktrees_share_are_told_when_they_are_old_and_nobody_is_there() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let names = [
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
        "refs/heads/other.lock",
        "refs/remotes/origin/main.lock",
        "refs/tags/v1.lock",
        "shallow.lock",
    ];
    let locks: Vec<PathBuf> = names.map(|name| ground.clone().join(name)).into();
    let make = |age: Duration| {
        for lock in &locks {
            fs::create_dir_all(lock.parent().unwrap()).unwrap();
            File::create(lock).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    };
    make(Duration::ZERO);
    assert_eq!(examine(&ground).await, [], "somebody may be at it");
    make(Duration::from_mins(1));
    let mut living = Command::new("sh")
        .args(["-c", "read line"])
        .current_dir(&tree)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(examine(&ground).await, [], "somebody works there");
    drop(living.stdin.take());
    living.wait().unwrap();
    let found = examine(&ground).await;
    let places: Vec<_> = found.iter().map(|finding| finding.path.clone()).collect();
    assert_eq!(places, locks);
    for finding in &found {
        assert_eq!(finding.fault, Fault::CloneLock);
        assert!(!ground.worktrees.mend(finding).await.unwrap().was_nothing_left());
        assert!(ground.worktrees.mend(finding).await.unwrap().was_nothing_left());
    }
    assert_eq!(examine(&ground).await, []);
    // A lock that somebody has taken since is not ours to take away.
    make(Duration::ZERO);
    for finding in &found {
        assert!(ground.worktrees.mend(finding).await.unwrap().was_nothing_left());
    }
    assert!(locks.iter().all(|lock| lock.exists()));
}

#[tokio::test]
async fn objects_that_are_missing_or_damaged_are_fetched_again() {
    for damage in ["gone", "empty", "garbage"] {
        let ground = Ground::new();
        let tree = ground.prepare(7).await.path;
        let own = commit(&tree, "own.txt");
        // Loose objects, as a crash damages them.
        let packs = ground.clone().join("objects/pack");
        let moved = ground.path().join("packs");
        fs::rename(&packs, &moved).unwrap();
        fs::create_dir(&packs).unwrap();
        for pack in fs::read_dir(&moved).into_iter().flatten().flatten() {
            if pack.path().extension().is_some_and(|kind| kind == "pack") {
                let input = File::open(pack.path()).unwrap();
                let unpack = Command::new("git")
                    .args(["unpack-objects", "-q"])
                    .current_dir(ground.clone())
                    .stdin(input)
                    .status();
                assert!(unpack.unwrap().success());
            }
        }
        let victims = ["HEAD:file-2.txt", "HEAD~2", "HEAD~2^{tree}"]
            .map(|victim| git(&tree, &["rev-parse", victim]));
        for id in &victims {
            let path = ground.clone().join("objects").join(&id[..2]).join(&id[2..]);
            fs::remove_file(&path).unwrap();
            match damage {
                "empty" => fs::write(&path, "").unwrap(),
                "garbage" => fs::write(&path, "garbage").unwrap(),
                _ => {}
            }
        }
        let found = examine(&ground).await;
        let finding = found.iter().find(|finding| finding.fault == Fault::ObjectsMissing);
        let finding = finding.unwrap_or_else(|| panic!("{damage}: {found:#?}"));
        let mended = ground.worktrees.mend(finding).await.unwrap();
        assert_eq!(mended.rescued.len(), if damage == "gone" { 0 } else { victims.len() });
        assert_eq!(examine(&ground).await, [], "{damage}");
        git(&ground.clone(), &["fsck", "--full"]);
        assert_eq!(git(&tree, &["rev-parse", "HEAD"]), own);
    }
}

#[tokio::test]
async fn an_address_that_was_changed_is_set_right_and_told_without_its_password() {
    let ground = Ground::new();
    ground.prepare(7).await;
    let url = "remote.origin.url";
    git(&ground.clone(), &["config", url, "https://me:hunter2@evil.example/x.git"]);
    git(&ground.clone(), &["config", "--add", url, "https://another.example/x.git"]);
    let finding = only(&ground).await;
    assert_eq!(finding.fault, Fault::RemoteDiffers);
    assert!(finding.found.contains("evil.example") && finding.found.contains("another.example"));
    assert!(!format!("{finding:?}").contains("hunter2"));
    ground.worktrees.mend(&finding).await.unwrap();
    let remote = ground.remote.path().to_str().unwrap().to_owned();
    assert_eq!(git(&ground.clone(), &["config", "--get-all", url]), remote);
    assert_eq!(examine(&ground).await, []);
}

#[tokio::test]
async fn what_an_agent_has_configured_is_told_by_name_and_never_run() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let (fired, canary) = (ground.path().join("fired"), ground.path().join("canary"));
    script(&canary, &format!("#!/bin/sh\necho \"$0\" >> '{}'\ncat\n", fired.display()));
    let run = canary.to_str().unwrap();
    for (name, value) in [
        ("core.worktree", "/nowhere"),
        ("core.hooksPath", run),
        ("core.fsmonitor", run),
        ("filter.evil.clean", run),
        ("filter.evil.smudge", run),
        ("filter.evil.required", "true"),
        ("http.https://me:hunter2@host/.proxy", run),
        ("user.name", "somebody"),
    ] {
        git(&ground.clone(), &["config", name, value]);
    }
    let attributes = "* filter=evil\n";
    fs::create_dir_all(ground.clone().join("info")).unwrap();
    fs::write(ground.clone().join("info/attributes"), attributes).unwrap();
    fs::write(tree.join(".gitattributes"), attributes).unwrap();
    fs::write(tree.join("README.md"), "changed").unwrap();
    let hook = ground.clone().join("hooks/reference-transaction");
    script(&hook, &fs::read_to_string(&canary).unwrap());
    // Something to be saved and something to be fetched, so that everything of ours is at work.
    fs::write(ground.entry(7).join("HEAD"), "\0").unwrap();

    let found = examine(&ground).await;
    let told: Vec<_> =
        found.iter().filter(|finding| finding.fault == Fault::ConfigPlanted).collect();
    assert_eq!(told.len(), 3, "{found:#?}");
    let names = told.iter().map(|finding| finding.found.as_str()).collect::<Vec<_>>().join("; ");
    for name in ["core.worktree", "core.hookspath", "filter.evil.clean", "reference-transaction"] {
        assert!(names.contains(name), "{name}: {names}");
    }
    assert!(!names.contains("user.name") && !names.contains("hunter2"), "{names}");
    assert!(told.iter().all(|finding| !finding.is_mendable()));
    for finding in found.iter().filter(|finding| finding.is_mendable()) {
        ground.worktrees.mend(finding).await.unwrap();
    }
    let file = fs::read_to_string(tree.join("README.md")).unwrap();
    assert_eq!(file, "changed");
    assert_eq!(fs::read_to_string(&fired).unwrap_or_default(), "");
}

#[tokio::test]
async fn an_extension_that_cannot_be_read_and_a_directory_that_is_no_clone_are_told() {
    let ground = Ground::new();
    ground.prepare(7).await;
    git(&ground.clone(), &["config", "core.repositoryFormatVersion", "1"]);
    git(&ground.clone(), &["config", "extensions.partialClone", "origin"]);
    let finding = only(&ground).await;
    assert_eq!(finding.fault, Fault::Unsupported);
    assert!(finding.found.to_lowercase().contains("partialclone"), "{finding:?}");
    let error = ground.worktrees.mend(&finding).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error}");

    let ground = Ground::new();
    ground.prepare(7).await;
    let other = ground.clone().with_file_name("gadgets.git");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "").unwrap();
    let finding = only(&ground).await;
    assert_eq!((finding.fault, &finding.path), (Fault::CloneBroken, &other));
    assert!(!finding.is_mendable());
}

#[tokio::test]
async fn a_clone_that_cannot_be_fetched_is_mended_as_far_as_it_goes() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let own = commit(&tree, "own.txt");
    let packed = ground.clone().join("packed-refs");
    let text = fs::read_to_string(&packed).unwrap_or_default();
    fs::write(&packed, format!("{own} refs/heads/kept\ngarbage\n{text}")).unwrap();
    let away = ground.path().join("away");
    fs::rename(ground.remote.path(), &away).unwrap();
    let finding = only(&ground).await;
    assert_eq!(finding.fault, Fault::CloneBroken);
    let mended = ground.worktrees.mend(&finding).await.unwrap();
    assert!(mended.done.contains("could not be fetched"), "{mended:?}");
    assert_eq!(mended.rescued.len(), 1);
    assert_eq!(git(&ground.clone(), &["rev-parse", "refs/heads/kept"]), own);
    assert_eq!(git(&tree, &["rev-parse", "HEAD"]), own);
    fs::rename(&away, ground.remote.path()).unwrap();
    assert!(ground.worktrees.prepare(&WorktreeSpec::new(issue(8))).await.unwrap().created);
}
