//! The program itself, as a process.

use std::io::{Read as _, Write as _};
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

#[test]
fn the_version_needs_no_home_and_makes_nothing() {
    let home = TempDir::new().unwrap();
    let nowhere = home.path().join("nowhere");
    for word in ["--version", "-V"] {
        let told = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
            .arg(word)
            .env_clear()
            .env("HOME", &nowhere)
            .output()
            .unwrap();
        assert_eq!(told.status.code(), Some(0));
        assert_eq!(told.stdout, concat!("kugetsu ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    }
    assert!(!nowhere.exists());
}

/// The threads of a command that is held where it answers: its answer goes into a pipe that is full.
fn threads_at_the_answer(home: &TempDir, words: &[&str]) -> usize {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    while writer.write(&[b' '; 4096]).is_ok() {}
    while writer.write(b" ").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kugetsu"))
        .args(words)
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(writer)
        .spawn()
        .unwrap();
    let about = |what: &str| format!("/proc/{}/{what}", child.id());
    loop {
        // It sleeps where nothing else is to be waited for.
        let stat = std::fs::read_to_string(about("stat")).unwrap();
        match stat.rsplit_once(") ").map(|(_, state)| state.as_bytes()[0]) {
            Some(b'S') => break,
            Some(b'Z') | None => panic!("{words:?} ended before it answered: {stat}"),
            _ => std::thread::yield_now(),
        }
    }
    let threads = std::fs::read_dir(about("task")).unwrap().count();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(!said.trim().is_empty(), "{words:?} said nothing");
    assert!(child.wait().unwrap().success());
    threads
}

#[test]
fn commands_that_look_start_no_thread() {
    let home = TempDir::new().unwrap();
    std::fs::create_dir_all(home.path().join(".kugetsu/env")).unwrap();
    // The first one makes the store.
    for words in [&["status"][..], &["status"], &["queue", "list"], &["queue", "stats"], &["slots"]]
    {
        assert_eq!(threads_at_the_answer(&home, words), 1, "{words:?}");
    }
}
