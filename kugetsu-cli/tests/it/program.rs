//! The program itself, as a process.

use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn kugetsu(home: &TempDir, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kugetsu"))
        .args(words)
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn without_any_setting_it_uses_a_directory_in_the_home() {
    let home = TempDir::new().unwrap();
    let told = kugetsu(&home, &["config", "list"]);
    assert_eq!(told.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&told.stdout).contains("~/.kugetsu"));
    let told = kugetsu(&home, &["status"]);
    assert_eq!(told.stdout, b"kugetsu_not_initialized\n");
    assert_eq!(home.path().read_dir().unwrap().count(), 0);
}

#[test]
fn a_missing_opencode_is_told_with_exit_69() {
    let home = TempDir::new().unwrap();
    for words in [["init"], ["demo"]] {
        let told = kugetsu(&home, &words);
        let err = String::from_utf8_lossy(&told.stderr);
        assert_eq!(told.status.code(), Some(69), "{err}");
        assert!(err.contains("KUGETSU_OPENCODE"), "{err}");
    }
    let told = kugetsu(&home, &["status"]);
    assert_eq!(told.stdout, b"base_session_missing\n");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let home = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
        .args(["completions", "bash"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
