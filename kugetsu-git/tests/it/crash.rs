//! A process that dies in the middle leaves nothing that the next one cannot finish.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use kugetsu_core::{WorktreeProvider, WorktreeSpec};

use crate::ground::{Ground, git, issue, script};
use crate::together::example;

/// A git that ends whoever started it before or after it does `verb`, and goes on itself.
fn deadly_git(ground: &Ground, verb: &str, when: &str) -> String {
    let bin = ground.path().join("bin");
    let path = std::env::var("PATH").unwrap();
    let text = format!(
        "#!/bin/sh\n\
         verb=no\n\
         for word in \"$@\"; do [ \"$word\" = {verb} ] && verb=yes; done\n\
         [ $verb-{when} = yes-before ] && kill -9 $PPID\n\
         parent=$PPID\n\
         PATH='{path}' git \"$@\"; code=$?\n\
         [ $verb-{when} = yes-after ] && kill -9 $parent\n\
         exit $code\n"
    );
    script(&bin.join("git"), &text);
    format!("{}:{path}", bin.display())
}

#[tokio::test]
async fn a_process_killed_at_any_step_is_followed_by_one_that_finishes() {
    for verb in ["fetch", "ls-remote", "var", "read-tree"] {
        for when in ["before", "after"] {
            let ground = Ground::new();
            if verb == "read-tree" {
                // Such files are left to git.
                ground.remote.commit(".gitattributes", "*.c ident\n", "attributes").unwrap();
            }
            let path = deadly_git(&ground, verb, when);
            let died = example(&ground, 7).env("PATH", path).output().unwrap();
            assert_eq!(died.status.signal(), Some(9), "{verb} {when}");
            assert!(!ground.tree(7).exists());
            assert_eq!(ground.clone().exists(), matches!(verb, "var" | "read-tree"), "{verb}");
            let worktree = ground.prepare(7).await;
            assert!(worktree.created);
            assert_eq!(git(&worktree.path, &["status", "--porcelain"]), "");
            assert_eq!(git(&worktree.path, &["rev-parse", "HEAD"]), ground.remote.head().unwrap());
            git(&ground.clone(), &["fsck"]);
            assert_eq!(ground.left_over(), Vec::<String>::new(), "{verb} {when}");
        }
    }
}

#[tokio::test]
async fn half_of_a_worktree_is_finished() {
    // The administration is there and the files are still on their way.
    let ground = Ground::new();
    let worktree = ground.prepare(7).await;
    let new = worktree.path.with_file_name(format!(".{}.new", issue(7).stem()));
    fs::rename(&worktree.path, &new).unwrap();
    fs::write(ground.entry(7).join("locked"), "kugetsu is making it\n").unwrap();
    let worktree = ground.prepare(7).await;
    assert!(worktree.created);
    assert!(!new.exists());
    assert!(!ground.entry(7).join("locked").exists());

    // All is there but the lock was not taken away.
    fs::write(ground.entry(7).join("locked"), "kugetsu is making it\n").unwrap();
    assert!(!ground.prepare(7).await.created);
    assert!(!ground.entry(7).join("locked").exists());

    // Somebody else's lock stays.
    git(
        &ground.clone(),
        &["worktree", "lock", "--reason", "mine", worktree.path.to_str().unwrap()],
    );
    ground.prepare(7).await;
    assert!(ground.entry(7).join("locked").exists());

    // A half clone is no clone.
    let half = ground.clone().with_file_name(".widgets.new");
    fs::create_dir_all(half.join("objects")).unwrap();
    ground.prepare(8).await;
    assert!(!half.exists());
}

#[tokio::test]
async fn dropping_the_future_ends_git_and_frees_the_locks() {
    let ground = Ground::new();
    let (bin, started) = (ground.path().join("bin/git"), ground.path().join("started"));
    let made = Command::new("mkfifo").arg(&started).status().unwrap();
    assert!(made.success());
    script(
        &bin,
        &format!("#!/bin/sh\necho $$ > '{}'\nexec tail -f /dev/null\n", started.display()),
    );
    let hanging = ground.again().with_program(&bin);
    let running = tokio::spawn(async move { hanging.prepare(&WorktreeSpec::new(issue(7))).await });
    let process = tokio::fs::read_to_string(&started).await.unwrap();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(ground.prepare(7).await.created);
    let still = fs::read_to_string(format!("/proc/{}/comm", process.trim()));
    assert!(still.is_err() || still.unwrap().trim() != "tail");
}

#[tokio::test]
async fn recovery_deletes_halves_tells_them_and_leaves_whoever_is_at_it_alone() {
    let ground = Ground::new();
    assert_eq!(ground.worktrees.recover().await.unwrap(), Vec::<String>::new());
    let worktree = ground.prepare(7).await;
    let half = |number: u64, kind: &str| {
        let half = worktree.path.with_file_name(format!(".{}.{kind}", issue(number).stem()));
        fs::create_dir_all(half.join("src")).unwrap();
        half
    };
    let (new, old, busy) = (half(8, "new"), half(9, "old"), half(10, "new"));
    let lock =
        fs::File::create(worktree.path.with_file_name(format!(".{}.lock", issue(10).stem())));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    let told = ground.worktrees.recover().await.unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|line| line.contains(&issue(8).stem()) && line.contains("half made")));
    assert!(
        told.iter().any(|line| line.contains(&issue(9).stem()) && line.contains("half removed"))
    );
    assert!(!new.exists() && !old.exists() && busy.exists() && worktree.path.exists());
    // Not by closing it: a process that another test starts just now may have a copy of it.
    lock.unlock().unwrap();
    assert_eq!(ground.worktrees.recover().await.unwrap().len(), 1);
    assert!(ground.prepare(8).await.created);
}
