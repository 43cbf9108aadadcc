//! What is broken is found, told, and mended without losing a byte.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_core::{IssueRef, Unsaved, WorktreeProvider};
use kugetsu_git::{Fault, Finding, GitWorktrees, Mended, Remedy};

use crate::ground::{Ground, commit, git, issue, picture, script};

const BRANCH: &str = "refs/heads/fix/issue-7";

async fn examine(ground: &Ground) -> Vec<Finding> {
    examine_with(&ground.worktrees, &[issue(7)]).await
}

async fn examine_with(worktrees: &GitWorktrees, issues: &[IssueRef]) -> Vec<Finding> {
    worktrees.examine(issues).await.unwrap()
}

fn faults(found: &[Finding]) -> Vec<Fault> {
    found.iter().map(|finding| finding.fault).collect()
}

/// A worktree with work of every kind: pushed nowhere, committed, staged, changed, new, and ignored.
async fn worked_in() -> Ground {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    commit(&tree, "committed.txt");
    fs::write(tree.join("staged.txt"), "staged").unwrap();
    git(&tree, &["add", "staged.txt"]);
    fs::write(tree.join("staged.txt"), "staged, and then changed").unwrap();
    fs::write(tree.join("README.md"), "changed\r\n").unwrap();
    fs::create_dir_all(tree.join("new/deep")).unwrap();
    fs::write(tree.join("new/deep/file.bin"), [0, 255, 10, 13]).unwrap();
    symlink("nowhere", tree.join("link")).unwrap();
    script(&tree.join("run"), "#!/bin/sh\n");
    fs::remove_file(tree.join("file-2.txt")).unwrap();
    // Where the worktree is, is noted by whoever looks.
    ground.inspect(7).await.unwrap();
    ground
}

/// The files of a worktree, but for its link.
fn work(tree: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut next = vec![tree.to_owned()];
    while let Some(directory) = next.pop() {
        for inside in fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let path = inside.path();
            let kind = inside.file_type().unwrap();
            let name = path.strip_prefix(tree).unwrap().to_owned();
            if inside.file_name() == ".git" {
            } else if kind.is_dir() {
                next.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
                all.insert(name, (0, target));
            } else {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o111;
                all.insert(name, (mode, fs::read(&path).unwrap()));
            }
        }
    }
    all
}

/// Mends whatever can be mended until nothing is left, and tells what was found and done.
async fn mend_all(ground: &Ground) -> Vec<(Fault, Mended)> {
    let mut done = Vec::new();
    for _ in 0..6 {
        let found = examine(ground).await;
        let mendable: Vec<_> = found.into_iter().filter(Finding::is_mendable).collect();
        if mendable.is_empty() {
            return done;
        }
        for finding in mendable {
            done.push((finding.fault, ground.worktrees.mend(&finding).await.unwrap()));
        }
    }
    panic!("it does not come to an end: {done:?}");
}

#[tokio::test]
async fn what_is_well_has_no_findings_and_examining_changes_nothing() {
    let ground = Ground::new();
    assert_eq!(examine(&ground).await, []);
    ground.prepare(7).await;
    ground.prepare(8).await;
    let before = picture(&ground.path());
    assert_eq!(examine(&ground).await, []);
    assert_eq!(picture(&ground.path()), before);
    let ground = worked_in().await;
    let now = || (picture(&ground.path().join("repos")), work(&ground.tree(7)));
    let before = now();
    assert_eq!(examine(&ground).await, []);
    assert_eq!(now(), before);
}

/// One way to break a worktree, and what is to be found of it.
type Breakage = (&'static str, Fault, fn(&Ground));

const BREAKAGES: &[Breakage] = &[
    ("the link is missing", Fault::LinkWrong, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
    }),
    ("the link is empty", Fault::LinkWrong, |ground| {
        File::create(ground.tree(7).join(".git")).unwrap();
    }),
    ("the link leads nowhere", Fault::LinkWrong, |ground| {
        fs::write(ground.tree(7).join(".git"), "gitdir: /nowhere/worktrees/x\n").unwrap();
    }),
    ("the link is no link", Fault::LinkWrong, |ground| {
        fs::write(ground.tree(7).join(".git"), [0xff; 300]).unwrap();
    }),
    ("a directory stands where the link belongs", Fault::LinkReplaced, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
        fs::create_dir(ground.tree(7).join(".git")).unwrap();
        fs::write(ground.tree(7).join(".git/precious"), "precious").unwrap();
    }),
    ("a repository stands where the link belongs", Fault::LinkReplaced, |ground| {
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
        git(&ground.tree(7), &["init", "--quiet"]);
        git(&ground.tree(7), &["add", "--all"]);
        git(&ground.tree(7), &["commit", "--quiet", "--message", "precious"]);
    }),
    ("the record is missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
    }),
    ("record and link are missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
        fs::remove_file(ground.tree(7).join(".git")).unwrap();
    }),
    ("record and branch are missing", Fault::RecordGone, |ground| {
        fs::remove_dir_all(ground.entry(7)).unwrap();
        git(&ground.clone(), &["update-ref", "-d", BRANCH]);
    }),
    ("the record's gitdir leads elsewhere", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("gitdir"), "/nowhere/.git\n").unwrap();
    }),
    ("the record's gitdir is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("gitdir")).unwrap();
    }),
    ("the record's commondir leads elsewhere", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("commondir"), "/\n").unwrap();
    }),
    ("the record's HEAD is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("HEAD")).unwrap();
    }),
    ("the index is missing", Fault::RecordDamaged, |ground| {
        fs::remove_file(ground.entry(7).join("index")).unwrap();
    }),
    ("our own record is of another issue", Fault::RecordDamaged, |ground| {
        let path = ground.entry(7).join("kugetsu.json");
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("widgets#7", "widgets#9"))
            .unwrap();
    }),
    ("it is still marked as being made", Fault::RecordDamaged, |ground| {
        fs::write(ground.entry(7).join("locked"), "kugetsu is making it\n").unwrap();
    }),
    ("HEAD is at a commit that is not there", Fault::HeadBroken, |ground| {
        fs::write(ground.entry(7).join("HEAD"), format!("{}\n", "1".repeat(40))).unwrap();
    }),
    ("HEAD is garbage", Fault::HeadBroken, |ground| {
        fs::write(ground.entry(7).join("HEAD"), "\0\0\0\0").unwrap();
    }),
    ("the branch is deleted", Fault::BranchGone, |ground| {
        git(&ground.clone(), &["update-ref", "-d", BRANCH]);
    }),
    ("the branch leads to a commit that is not there", Fault::BranchBroken, |ground| {
        fs::write(ground.clone().join(BRANCH), format!("{}\n", "1".repeat(40))).unwrap();
    }),
    ("the branch's file is empty", Fault::BranchBroken, |ground| {
        File::create(ground.clone().join(BRANCH)).unwrap();
    }),
    ("the index is cut short", Fault::IndexBroken, |ground| {
        let index = ground.entry(7).join("index");
        let text = fs::read(&index).unwrap();
        fs::write(index, &text[..text.len() / 2]).unwrap();
    }),
    ("the index is garbage", Fault::IndexBroken, |ground| {
        fs::write(ground.entry(7).join("index"), [7; 4096]).unwrap();
    }),
    ("index.lock is left", Fault::StaleLock, |ground| {
        File::create(ground.entry(7).join("index.lock")).unwrap();
    }),
    ("HEAD.lock is left", Fault::StaleLock, |ground| {
        File::create(ground.entry(7).join("HEAD.lock")).unwrap();
    }),
    ("the branch's lock is left", Fault::StaleLock, |ground| {
        File::create(ground.clone().join(format!("{BRANCH}.lock"))).unwrap();
    }),
    ("it was moved", Fault::Moved, |ground| {
        let (tree, moved) = (ground.tree(7), ground.path().join("moved"));
        let [tree, moved] = [&tree, &moved].map(|path| path.to_str().unwrap());
        git(&ground.clone(), &["worktree", "move", tree, moved]);
    }),
    ("the clone is gone", Fault::CloneGone, |ground| {
        git(&ground.tree(7), &["push", "--quiet", "origin", "HEAD"]);
        fs::remove_dir_all(ground.clone()).unwrap();
    }),
    ("the clone's HEAD is missing", Fault::CloneBroken, |ground| {
        fs::remove_file(ground.clone().join("HEAD")).unwrap();
    }),
    ("the clone's config is garbage", Fault::CloneBroken, |ground| {
        fs::write(ground.clone().join("config"), "[[[[\n\0").unwrap();
    }),
    ("the clone's references are gone", Fault::CloneBroken, |ground| {
        fs::remove_dir_all(ground.clone().join("refs")).unwrap();
    }),
    ("the clone's packed references are garbage", Fault::CloneBroken, |ground| {
        fs::write(ground.clone().join("packed-refs"), "garbage\n").unwrap();
    }),
];

/// Whatever is broken: it is found, it is mended, and then git works and every byte is there.
#[tokio::test]
async fn each_breakage_is_found_and_mended_and_not_a_byte_is_lost() {
    for (name, fault, breaks) in BREAKAGES {
        let ground = worked_in().await;
        let tree = ground.tree(7);
        let before = work(&tree);
        let head = git(&tree, &["rev-parse", "HEAD"]);
        breaks(&ground);
        let found = examine(&ground).await;
        assert!(faults(&found).contains(fault), "{name}: {found:#?}");
        for finding in &found {
            assert!(!finding.found.is_empty() && !finding.found.ends_with('.'), "{finding:?}");
        }
        let done = mend_all(&ground).await;
        assert!(!done.is_empty(), "{name}: {found:#?}");
        assert_eq!(work(&tree), before, "{name}");
        assert_eq!(git(&tree, &["rev-parse", "HEAD"]), head, "{name}: {done:#?}");
        assert_eq!(git(&tree, &["symbolic-ref", "HEAD"]), BRANCH, "{name}");
        git(&tree, &["status", "--porcelain"]);
        git(&ground.clone(), &["fsck", "--no-dangling"]);
        let left = examine(&ground).await;
        assert!(left.iter().all(|left| left.fault == Fault::RescueKept), "{name}: {left:#?}");
        assert!(!ground.prepare(7).await.created, "{name}");
        commit(&tree, "more.txt");
    }
}
