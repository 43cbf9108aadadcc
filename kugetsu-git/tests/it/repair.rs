//! What is broken is found, told, and mended without losing a byte.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kugetsu_core::{IssueRef, WorktreeError, WorktreeProvider as _, WorktreeSpec};
use kugetsu_git::{Fault, Finding, GitWorktrees, Mended, Remedy};

use crate::breakages::{BRANCH, BREAKAGES};
use crate::ground::{Ground, commit, git, issue, picture, script};

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

/// What a rescue reference holds: the files' bytes by name, without the directories.
fn saved(ground: &Ground, reference: &str) -> BTreeMap<String, Vec<u8>> {
    let repository = git2::Repository::open_bare(ground.clone()).unwrap();
    let commit = repository.find_reference(reference).unwrap().peel_to_commit().unwrap();
    let mut all = BTreeMap::new();
    let mut next = vec![(String::new(), commit.tree_id())];
    while let Some((before, tree)) = next.pop() {
        for entry in &repository.find_tree(tree).unwrap() {
            let name = format!("{before}{}", entry.name().unwrap());
            if let Ok(blob) = repository.find_blob(entry.id()) {
                all.insert(name, blob.content().to_owned());
            } else {
                next.push((format!("{name}/"), entry.id()));
            }
        }
    }
    all
}

fn plain(work: &BTreeMap<PathBuf, (u32, Vec<u8>)>) -> BTreeMap<String, Vec<u8>> {
    let plain = |(name, (_, text)): (&PathBuf, &(u32, Vec<u8>))| {
        (name.to_str().unwrap().to_owned(), text.clone())
    };
    work.iter().map(plain).collect()
}

async fn mend_one(ground: &Ground, fault: Fault) -> Mended {
    let found = examine(ground).await;
    let of = |finding: &&Finding| finding.fault == fault;
    let finding = found.iter().find(of).unwrap_or_else(|| panic!("{fault:?}: {found:#?}"));
    assert!(finding.is_mendable(), "{finding:#?}");
    let mended = ground.worktrees.mend(finding).await.unwrap();
    assert!(!mended.was_nothing_left(), "{finding:#?}");
    let again = ground.worktrees.mend(finding).await.unwrap();
    assert!(again.was_nothing_left() && again.rescued.is_empty(), "twice is once: {again:?}");
    let left = examine(ground).await;
    assert!(!left.iter().any(|left| left.fault == fault), "{left:#?}");
    mended
}

#[tokio::test]
async fn what_is_saved_is_the_work_byte_for_byte_and_what_was_staged_is_its_parent() {
    let ground = worked_in().await;
    let tree = ground.tree(7);
    fs::write(tree.join(".gitignore"), "ignored\n").unwrap();
    fs::write(tree.join("ignored"), "worth nothing").unwrap();
    fs::write(tree.join(".gitattributes"), "* text eol=crlf filter=evil\n").unwrap();
    // A repository of the agent's own, into which git does not look.
    let nested = tree.join("vendor/inner");
    fs::create_dir_all(&nested).unwrap();
    git(&nested, &["init", "--quiet"]);
    fs::write(nested.join("only here"), "precious").unwrap();
    let mut before = plain(&work(&tree));
    before.remove("ignored");
    let head = git(&tree, &["rev-parse", "HEAD"]);
    fs::write(ground.entry(7).join("HEAD"), "\0").unwrap();
    let mended = mend_one(&ground, Fault::HeadBroken).await;
    let reference = mended.rescued.iter().find(|name| name.starts_with("refs/")).unwrap();
    assert!(reference.starts_with(&format!("refs/kugetsu/rescue/{}/", issue(7).stem())));
    let mut now = saved(&ground, reference);
    now.retain(|name, _| !name.contains("/.git/"));
    before.retain(|name, _| !name.contains("/.git/"));
    assert_eq!(now, before);
    let [first, second] = ["^1", "^2"]
        .map(|parent| git(&ground.clone(), &["rev-parse", &format!("{reference}{parent}")]));
    assert_eq!(first, head);
    let staged = git(&ground.clone(), &["show", &format!("{second}:staged.txt")]);
    assert_eq!(staged, "staged");
    let modes = git(&ground.clone(), &["ls-tree", reference, "run", "link"]);
    assert!(modes.contains("100755") && modes.contains("120000"), "{modes}");
    git(&ground.clone(), &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_record_without_its_worktree_is_removed_and_what_only_it_holds_is_saved() {
    let ground = worked_in().await;
    let tree = ground.tree(7);
    // A commit that was amended, one on no branch, and something staged.
    git(&tree, &["checkout", "--quiet", "--detach"]);
    let amended = commit(&tree, "first.txt");
    git(&tree, &["commit", "--quiet", "--amend", "--message", "another"]);
    let detached = git(&tree, &["rev-parse", "HEAD"]);
    fs::write(tree.join("staged-only.txt"), "staged only").unwrap();
    git(&tree, &["add", "staged-only.txt"]);
    fs::remove_dir_all(&tree).unwrap();
    let mended = mend_one(&ground, Fault::DirectoryGone).await;
    let [reference] = &mended.rescued[..] else { panic!("{mended:?}") };
    let all = git(&ground.clone(), &["rev-list", reference]);
    assert!(all.contains(&amended) && all.contains(&detached), "{all}");
    let staged = git(&ground.clone(), &["show", &format!("{reference}^2:staged-only.txt")]);
    assert_eq!(staged, "staged only");
    assert!(!ground.entry(7).exists());
    assert_eq!(faults(&examine(&ground).await), [Fault::RescueKept]);
    assert!(ground.prepare(7).await.created);
    assert!(tree.join("committed.txt").exists());
}

#[tokio::test]
async fn records_of_what_is_no_more_are_removed_whoever_made_them() {
    let ground = worked_in().await;
    let other = ground.path().join("other");
    let other_text = other.to_str().unwrap();
    git(&ground.clone(), &["worktree", "add", "--quiet", "--detach", other_text, "fix/issue-7"]);
    let own = commit(&other, "own.txt");
    ground.prepare(8).await;
    let found = examine(&ground).await;
    assert_eq!(faults(&found), [Fault::ForeignWorktree]);
    assert!(!found[0].is_mendable());
    fs::remove_dir_all(&other).unwrap();
    fs::remove_dir_all(ground.tree(8)).unwrap();
    // Issue 8 is known to nobody any more.
    let found = examine(&ground).await;
    assert_eq!(faults(&found), [Fault::RecordDangling; 2]);
    assert_eq!([&found[0].issue, &found[1].issue], [&None, &Some(issue(8))]);
    let rescued = mend_all(&ground).await.into_iter().flat_map(|(_, mended)| mended.rescued);
    let rescued: Vec<_> = rescued.collect();
    assert_eq!(rescued.len(), 1, "{rescued:?}");
    assert!(git(&ground.clone(), &["rev-list", &rescued[0]]).contains(&own));
    // One that somebody has locked stays.
    git(&ground.clone(), &["worktree", "add", "--quiet", "--detach", other_text, "fix/issue-7"]);
    git(&ground.clone(), &["worktree", "lock", other_text]);
    fs::remove_dir_all(&other).unwrap();
    let found = examine(&ground).await;
    assert!(
        found.iter().any(|f| f.fault == Fault::RecordDangling && !f.is_mendable()),
        "{found:#?}"
    );
}

#[tokio::test]
async fn work_whose_clone_is_lost_stays_and_is_saved_in_the_new_one() {
    for has_objects in [false, true] {
        let ground = worked_in().await;
        let tree = ground.tree(7);
        let before = work(&tree);
        let lost = git(&tree, &["rev-parse", "HEAD"]);
        if has_objects {
            fs::remove_dir_all(ground.clone().join("objects")).unwrap();
        } else {
            fs::remove_dir_all(ground.clone()).unwrap();
        }
        let done = mend_all(&ground).await;
        assert_eq!(work(&tree), before);
        let rescued: Vec<_> = done.iter().flat_map(|(_, mended)| &mended.rescued).collect();
        let reference = rescued.iter().find(|name| name.starts_with("refs/")).unwrap();
        assert_eq!(saved(&ground, reference), plain(&before));
        let told = rescued.iter().find(|name| name.contains(".rescue/")).unwrap();
        assert!(fs::read_to_string(told).unwrap().contains(&lost), "which commit was lost is kept");
        assert!(!ground.prepare(7).await.created);
        assert_eq!(git(&tree, &["rev-parse", "HEAD"]), ground.remote.head().unwrap());
        git(&ground.clone(), &["fsck", "--no-reflogs"]);
        commit(&tree, "more.txt");
    }
}

#[tokio::test]
async fn a_branch_that_is_checked_out_elsewhere_is_freed_and_no_file_is_touched() {
    let ground = worked_in().await;
    let head = git(&ground.tree(7), &["rev-parse", "HEAD"]);
    let other = ground.prepare(8).await.path;
    fs::write(other.join("mine.txt"), "mine").unwrap();
    git(&other, &["checkout", "--quiet", "--ignore-other-worktrees", "fix/issue-7"]);
    let before = work(&other);
    assert!(examine(&ground).await.iter().any(|f| f.fault == Fault::HeadElsewhere));
    mend_one(&ground, Fault::BranchElsewhere).await;
    assert_eq!(work(&other), before);
    assert_eq!(git(&other, &["rev-parse", "HEAD"]), head);
    assert_eq!(git(&other, &["status", "--porcelain"]), "?? mine.txt");
    fs::remove_dir_all(ground.tree(7)).unwrap();
    assert!(ground.prepare(7).await.created);
}

#[tokio::test]
async fn commits_on_no_branch_get_a_reference_of_their_own() {
    let ground = worked_in().await;
    let tree = ground.tree(7);
    git(&tree, &["checkout", "--quiet", "--detach"]);
    assert_eq!(faults(&examine(&ground).await), [Fault::HeadElsewhere]);
    let own = commit(&tree, "own.txt");
    let mended = mend_one(&ground, Fault::HeadDetached).await;
    assert_eq!(git(&ground.clone(), &["rev-parse", &mended.rescued[0]]), own);
    git(&tree, &["checkout", "--quiet", "-b", "other"]);
    let found = examine(&ground).await;
    assert_eq!(faults(&found), [Fault::RescueKept, Fault::HeadElsewhere]);
    assert!(found[1].found.contains("other"), "{found:?}");
}

#[tokio::test]
async fn what_only_a_person_can_decide_is_told_and_left_alone() {
    let ground = worked_in().await;
    let tree = ground.tree(7);
    git(&tree, &["stash", "--quiet"]);
    let nested = tree.join("a/b");
    fs::create_dir_all(&nested).unwrap();
    git(&nested, &["init", "--quiet"]);
    git(&tree, &["checkout", "--quiet", "-b", "side", "HEAD^"]);
    fs::write(tree.join("committed.txt"), "another\n").unwrap();
    git(&tree, &["add", "committed.txt"]);
    git(&tree, &["commit", "--quiet", "--message", "side"]);
    git(&tree, &["checkout", "--quiet", "fix/issue-7"]);
    let merge = std::process::Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@b", "merge", "--quiet", "side"])
        .current_dir(&tree)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let stray = ground.path().join("worktrees/stray");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("file"), "").unwrap();
    let eight = ground.tree(8);
    fs::create_dir(&eight).unwrap();
    fs::write(eight.join("file"), "").unwrap();

    let found = examine_with(&ground.worktrees, &[issue(7), issue(8)]).await;
    let told = [Fault::Stray, Fault::Unfinished, Fault::Nested, Fault::InTheWay];
    assert_eq!(faults(&found), told, "{found:#?}");
    for finding in &found {
        assert!(matches!(&finding.remedy, Remedy::ByHand(_)), "{finding:#?}");
        let error = ground.worktrees.mend(finding).await.unwrap_err();
        assert!(matches!(error, WorktreeError::Unsupported { .. }), "{error}");
    }
    let nested = found.iter().find(|finding| finding.fault == Fault::Nested).unwrap();
    assert_eq!(nested.path, tree.join("a/b"));
}

#[tokio::test]
async fn what_is_no_directory_is_moved_aside_and_a_link_to_the_worktree_is_not() {
    let ground = Ground::new();
    ground.prepare(1).await;
    let (tree, victim) = (ground.tree(7), ground.path().join("victim"));
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("precious"), "precious").unwrap();
    symlink(&victim, &tree).unwrap();
    let mended = mend_one(&ground, Fault::InTheWay).await;
    assert_eq!(fs::read_link(&mended.rescued[0]).unwrap(), victim);
    assert!(ground.prepare(7).await.created);
    assert!(victim.join("precious").exists());

    let elsewhere = ground.path().join("elsewhere");
    fs::rename(&tree, &elsewhere).unwrap();
    symlink(&elsewhere, &tree).unwrap();
    let found = examine(&ground).await;
    let found = found.iter().find(|finding| finding.fault == Fault::InTheWay).unwrap();
    assert!(!found.is_mendable(), "{found:?}");
}

#[tokio::test]
async fn loose_modes_halves_and_what_was_never_noted_are_mended() {
    let ground = Ground::new();
    let tree = ground.prepare(7).await.path;
    let roots = ["worktrees", "repos"].map(|root| ground.path().join(root));
    for root in &roots {
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let halves = [
        tree.with_file_name(format!(".{}.new", issue(8).stem())),
        tree.with_file_name(format!(".{}.old", issue(7).stem())),
        ground.clone().with_file_name(".widgets.new"),
        ground.clone().with_file_name(".gadgets.fetch"),
    ];
    for half in &halves {
        fs::create_dir_all(half.join("deep")).unwrap();
    }
    fs::remove_file(tree.with_file_name(format!(".{}.last", issue(7).stem()))).unwrap();
    let found = examine(&ground).await;
    let expected = [
        (Fault::LooseMode, 2),
        (Fault::HalfMade, 2),
        (Fault::CloneHalfMade, 2),
        (Fault::NotNoted, 1),
    ];
    for (fault, count) in expected {
        assert_eq!(faults(&found).iter().filter(|f| **f == fault).count(), count, "{found:#?}");
    }
    assert_eq!(mend_all(&ground).await.len(), 7);
    assert_eq!(examine(&ground).await, []);
    for root in &roots {
        assert_eq!(fs::metadata(root).unwrap().permissions().mode() & 0o777, 0o700);
    }
    assert!(halves.iter().all(|half| !half.exists()) && tree.exists());
}

#[tokio::test]
async fn whoever_makes_a_worktree_just_now_is_waited_for_by_nobody_and_told() {
    let ground = worked_in().await;
    fs::remove_file(ground.tree(7).join(".git")).unwrap();
    let lock = ground.tree(7).with_file_name(format!(".{}.lock", issue(7).stem()));
    let held = File::options().write(true).open(&lock).unwrap();
    held.lock().unwrap();
    assert_eq!(faults(&examine(&ground).await), [Fault::Busy]);
    held.unlock().unwrap();
    assert_eq!(faults(&examine(&ground).await), [Fault::LinkWrong]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_mends_and_whoever_prepares_at_once_do_not_get_into_each_others_way() {
    let ground = worked_in().await;
    let (tree, before) = (ground.tree(7), work(&ground.tree(7)));
    for round in 0..4 {
        fs::remove_dir_all(ground.entry(7)).unwrap();
        if round % 2 == 0 {
            fs::remove_file(tree.join(".git")).unwrap();
        }
        let found = examine(&ground).await;
        let mut all = tokio::task::JoinSet::new();
        for turn in 0..6 {
            let (worktrees, found) = (ground.again(), found.clone());
            all.spawn(async move {
                if turn % 2 == 0 {
                    // Without link and record it is in the way until somebody has mended it.
                    let _ = worktrees.prepare(&WorktreeSpec::new(issue(7))).await;
                } else {
                    for finding in found.iter().filter(|finding| finding.is_mendable()) {
                        worktrees.mend(finding).await.unwrap();
                    }
                }
            });
        }
        all.join_all().await;
        mend_all(&ground).await;
        assert_eq!(work(&tree), before, "round {round}");
        git(&tree, &["status"]);
        assert_eq!(ground.left_over(), Vec::<String>::new());
    }
}
