//! `kugetsu slots run`: the command in a slot, as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes, however busy the machine is.
const LONG: Duration = Duration::from_mins(1);

/// A directory in which `init` has been, with one place for agents.
fn made() -> TempDir {
    let home = TempDir::new().unwrap();
    fs::create_dir_all(home.path().join("kugetsu/env")).unwrap();
    home
}

fn kugetsu(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kugetsu"));
    command
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("KUGETSU_DIR", home.join("kugetsu"))
        .env("MAX_CONCURRENT_AGENTS", "1")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

fn run(home: &Path, words: &[&str]) -> Command {
    kugetsu(home, &[&["slots", "run", "--"], words].concat())
}

/// Who holds the one place: the process, and what it says of itself.
fn holder(home: &Path) -> Option<(u64, String)> {
    let told = kugetsu(home, &["slots", "--json"]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let held = &told["slots"][0]["held"][0];
    Some((held["pid"].as_u64()?, held["holder"].as_str()?.to_owned()))
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < LONG, "{what} did not come to be");
        thread::yield_now();
    }
}

/// A process that has said that it runs, and ends when its input does.
fn at_work(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "at work\n");
    child
}

#[test]
fn the_commands_output_and_end_are_those_of_the_whole() {
    let home = made();
    let told = run(home.path(), &["sh", "-c", "echo told; exit 7"]).output().unwrap();
    assert_eq!((told.status.code(), told.stdout.as_slice()), (Some(7), b"told\n".as_slice()));
    let told = run(home.path(), &["sh", "-c", "kill -9 $$"]).output().unwrap();
    assert_eq!(told.status.signal(), Some(9));
    assert_eq!(holder(home.path()), None);
    // An option behind the command is the command's.
    let told = run(home.path(), &["echo", "--json", "-x"]).output().unwrap();
    assert_eq!(told.stdout, b"--json -x\n");
}

#[test]
fn what_cannot_be_run_is_told_and_holds_nothing() {
    let home = made();
    let check = |words: &[&str], code: i32, says: &str| {
        let told = run(home.path(), words).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(code), "{error}");
        assert!(error.contains(says), "{error}");
        assert_eq!(holder(home.path()), None);
    };
    check(&["there-is-none-of-this-name"], 69, "there is no program there-is-none-of-this-name");
    check(&["."], 1, "could not run .");
    check(&[], 64, "COMMAND");
    fs::remove_dir_all(home.path().join("kugetsu")).unwrap();
    let told = run(home.path(), &["true"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(told.status.code(), Some(78));
    assert!(!home.path().join("kugetsu").exists());
}

#[test]
fn who_runs_is_shown_and_the_next_one_waits_until_it_has_ended() {
    let home = made();
    let script = "echo at work; read x; echo first >>out";
    let mut first = at_work(run(home.path(), &["sh", "-c", script, "a secret word"]));
    assert_eq!(holder(home.path()), Some((u64::from(first.id()), "slots run sh".to_owned())));
    let mut second = run(home.path(), &["sh", "-c", "echo second >>out"]).spawn().unwrap();
    let awaited = home.path().join("kugetsu/slots/dev/awaited");
    until("a waiting process", || fs::read(&awaited).is_ok_and(|said| said.get(1) == Some(&b'1')));
    assert!(second.try_wait().unwrap().is_none());
    writeln!(first.stdin.take().unwrap(), "end").unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(fs::read_to_string(home.path().join("out")).unwrap(), "first\nsecond\n");
    // Another class has places of its own.
    let pm = kugetsu(home.path(), &["slots", "run", "--class", "pm", "--", "true"]).status();
    assert!(pm.unwrap().success());
}

#[test]
fn what_the_command_has_left_running_keeps_the_slot() {
    let home = made();
    let script = "echo at work; exec 4<&0; cat <&4 >cat &";
    let mut first = at_work(run(home.path(), &["sh", "-c", script]));
    // Waiting would close it.
    let input = first.stdin.take();
    assert!(first.wait().unwrap().success());
    let (_, words) = holder(home.path()).unwrap();
    assert!(words.contains("what it started is still alive"), "{words}");
    drop(input);
    until("a free place", || holder(home.path()).is_none());
}

#[test]
fn the_slot_of_a_killed_command_goes_to_the_next_one() {
    let home = made();
    let mut first = at_work(run(home.path(), &["sh", "-c", "echo at work; exec cat"]));
    let mut second = run(home.path(), &["echo", "my turn"]).spawn().unwrap();
    let mut said = String::new();
    first.kill().unwrap();
    second.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "my turn\n");
    assert!(second.wait().unwrap().success());
    first.wait().unwrap();
}
