//! Sessions against worktrees, and both against what agents and git have.

use std::fs;

use kugetsu_core::{AgentRunner as _, SessionKind, SessionQuery, SessionStore as _};
use kugetsu_queue::SqliteStore;

use super::breakage::Fate::{Mended, Told};
use super::breakage::{check, ids, sql, worked};
use crate::desk::{Desk, ISSUE};

fn git(desk: &Desk, words: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(words)
        .current_dir(desk.worktree())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn assert_work_goes_on(desk: &Desk) {
    assert_eq!(fs::read_to_string(desk.worktree().join("a.txt")).unwrap().trim(), "precious");
    desk.run(&["start", ISSUE, "MODEL: say on"]).done();
}

#[test]
fn halves_of_sessions_are_told_and_made_whole() {
    for (kind, id) in [("base", "session.base-missing"), ("pm", "session.pm-missing")] {
        let (desk, _) = check(id, Mended, |desk| {
            sql(desk, &format!("DELETE FROM session WHERE kind LIKE '%\"{kind}\"%'"));
        });
        assert_eq!(desk.run(&["status"]).done().out, "ok\n");
        assert_work_goes_on(&desk);
    }
    let (desk, _) = check("session.without-worktree", Mended, |desk| {
        git(desk, &["add", "a.txt"]);
        git(desk, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a"]);
        fs::remove_dir_all(desk.worktree()).unwrap();
    });
    assert_work_goes_on(&desk);
    let (desk, _) = check("worktree.without-session", Told, |desk| desk.lose_session(ISSUE));
    assert_work_goes_on(&desk);
    let (desk, _) = check("session.agent-gone", Told, |desk| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(desk.kugetsu("kugetsu.db")).await.unwrap();
            let kind = SessionKind::Dev(ISSUE.parse().unwrap());
            let session = store.find(&SessionQuery::of(kind)).await.unwrap().pop().unwrap();
            let agent = desk.agent.sessions().unwrap();
            agent.delete(&session.agent_session.unwrap()).await.unwrap();
        });
    });
    assert_work_goes_on(&desk);
}

#[test]
fn what_has_one_cause_is_told_once() {
    let of_one = |told: &crate::desk::Ran, id: &str| {
        assert_eq!(ids(told, "findings"), [id], "{}", told.shown());
    };
    let desk = worked();
    fs::remove_dir_all(desk.worktree()).unwrap();
    of_one(&desk.run(&["doctor", "--json"]), "session.without-worktree");
    let fixed = desk.run(&["doctor", "--fix", "--json"]).done();
    assert_eq!(ids(&fixed, "mended"), ["session.without-worktree"], "{}", fixed.shown());
    assert_eq!(ids(&fixed, "findings"), [""; 0], "{}", fixed.shown());
    let place = desk.kugetsu("worktrees");
    fs::rename(&place, desk.path("away")).unwrap();
    fs::write(&place, "").unwrap();
    of_one(&desk.run(&["doctor", "--json"]), "directory.in-the-way");
    fs::remove_file(&place).unwrap();
    fs::rename(desk.path("away"), &place).unwrap();
    fs::write(desk.kugetsu("repos.json"), "nonsense").unwrap();
    of_one(&desk.run(&["doctor", "--json"]), "repos.invalid");
    fs::remove_file(desk.kugetsu("repos.json")).unwrap();
    let setting = "worktrees = \"nowhere\"\n";
    fs::write(desk.kugetsu("config.toml"), setting).unwrap();
    let told = desk.run(&["doctor", "--json"]);
    of_one(&told, "worktrees.closed");
    assert!(told.out.contains("known are: git"), "{}", told.shown());
}

#[test]
fn a_directory_that_was_moved_is_told() {
    let desk = worked();
    let elsewhere = desk.path("elsewhere");
    fs::rename(desk.kugetsu(""), &elsewhere).unwrap();
    let moved = desk.with("KUGETSU_DIR", elsewhere.to_str().unwrap());
    let told = moved.run(&["doctor", "--json"]);
    assert!(ids(&told, "findings").iter().any(|id| id == "directory.moved"), "{}", told.shown());
}

#[test]
fn a_broken_worktree_is_mended_and_its_work_is_kept() {
    let (desk, _) = check("worktree.link-wrong", Mended, |desk| {
        fs::remove_file(desk.worktree().join(".git")).unwrap();
    });
    assert_work_goes_on(&desk);
    let (desk, _) = check("worktree.stale-lock", Mended, |desk| {
        let record = git(desk, &["rev-parse", "--absolute-git-dir"]);
        let lock = std::path::Path::new(&record).join("index.lock");
        fs::write(&lock, "").unwrap();
        // Nobody has a file open that is hours old.
        let old = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
        fs::File::options().write(true).open(lock).unwrap().set_modified(old).unwrap();
    });
    assert_work_goes_on(&desk);
    let (desk, fixed) = check("worktree.record-gone", Mended, |desk| {
        let record = git(desk, &["rev-parse", "--absolute-git-dir"]);
        fs::remove_dir_all(record).unwrap();
    });
    assert!(fixed.out.contains("mended"), "{}", fixed.shown());
    assert_work_goes_on(&desk);
    let (desk, _) = check("worktree.branch-gone", Mended, |desk| {
        let branch = git(desk, &["symbolic-ref", "HEAD"]);
        git(desk, &["update-ref", "-d", &branch]);
    });
    assert_work_goes_on(&desk);
}
