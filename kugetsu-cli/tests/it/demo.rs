//! `demo`, with the real opencode.

use std::process::{Command, Stdio};

use kugetsu_testkit::sandbox::opencode_program;
use tempfile::TempDir;

#[test]
fn the_demo_ends_well_and_leaves_four_branches_and_no_process() {
    let home = TempDir::with_prefix("kugetsu-demo-").unwrap();
    let stage = home.path().join("stage");
    let told = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
        .args(["demo", "--json", "--dir"])
        .arg(&stage)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("KUGETSU_OPENCODE", opencode_program())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(0), "{err}");
    let out = String::from_utf8(told.stdout).unwrap();
    let sum: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(sum["issues"].as_array().unwrap().len(), 4);
    let most = sum["most_agents_alive"].as_u64().unwrap();
    assert!((1..=2).contains(&most), "{most} agents were alive at once");
    let branches = Command::new("git")
        .args(["for-each-ref", "--format=%(refname:short)", "refs/heads/fix"])
        .current_dir(stage.join("repository"))
        .output()
        .unwrap();
    let branches = String::from_utf8(branches.stdout).unwrap();
    assert_eq!(branches, "fix/issue-1\nfix/issue-2\nfix/issue-3\nfix/issue-4\n");
    // Nothing works in the stage any more.
    let alive = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&stage))
    });
    assert_eq!(alive.count(), 0);
}
