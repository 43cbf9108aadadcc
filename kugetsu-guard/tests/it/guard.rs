//! The guard, as its owner sees it: by its protocol.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde_json::json;
use tempfile::TempDir;

/// A marker that no other tree has; whoever carries it is ended with the tree.
fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{:016x}{:016x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Far more than any of this takes; the tests wait for events, not for time.
const BOUND: Duration = Duration::from_secs(20);

/// A guarded shell script. Its standard error is a locked file, so that the lock is free only
/// when nobody of the tree is left.
struct Fixture {
    directory: TempDir,
    marker: String,
    guard: Child,
    owner: Owner,
}

/// Who holds the other end of the guard's pipe.
enum Owner {
    Us(Option<std::io::PipeWriter>),
    Another(Child),
}

impl Fixture {
    fn new(script: &str, input: Option<&str>, another_owns: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let marker = marker();
        let private = directory.path().join(&marker);
        fs::create_dir(&private).unwrap();
        fs::write(private.join("rubbish"), "x").unwrap();
        let header = serde_json::to_vec(&json!({
            "program": "/bin/sh", "args": [bytes("-c"), bytes(script)], "env": [
                { "name": bytes("GIVEN"), "value": bytes("yes") },
                { "name": bytes("HOME"), "value": null },
            ],
            "directory": directory.path(), "stdin": input.map(str::len), "marker": marker,
            "private_tmp": private, "grace_millis": 300,
        }))
        .unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let guard = Command::new(env!("CARGO_BIN_EXE_kugetsu-guard"))
            .env("KUGETSU_SERVER", &marker)
            .stdin(reader)
            .stdout(Stdio::piped())
            .stderr(lock)
            .spawn()
            .unwrap();
        writer.write_all(&u32::try_from(header.len()).unwrap().to_le_bytes()).unwrap();
        writer.write_all(&header).unwrap();
        writer.write_all(input.unwrap_or_default().as_bytes()).unwrap();
        let owner = if another_owns {
            Owner::Another(Command::new("sleep").arg("1000").stdout(writer).spawn().unwrap())
        } else {
            Owner::Us(Some(writer))
        };
        Self { directory, marker, guard, owner }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn private(&self) -> PathBuf {
        self.path().join(&self.marker)
    }

    /// The next line that the tree says.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.guard.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte != [b'\n'] {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    fn kill_owner(&mut self) {
        let Owner::Another(owner) = &mut self.owner else { panic!("we are the owner") };
        owner.kill().unwrap();
        owner.wait().unwrap();
    }

    fn hang_up(&mut self) {
        let Owner::Us(line) = &mut self.owner else { panic!("another is the owner") };
        *line = None;
    }

    /// Waits until the lock is free, so that not one process of the tree is left.
    fn wait_until_free(&self) {
        let path = self.path().join("lock");
        let (free, is_free) = mpsc::channel();
        thread::spawn(move || {
            let lock = File::open(path).unwrap();
            rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
            free.send(()).unwrap();
        });
        is_free.recv_timeout(BOUND).expect("somebody of the tree still holds the lock");
    }

    fn exit(&mut self) -> ExitStatus {
        self.guard.wait().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Owner::Another(owner) = &mut self.owner {
            let _ = owner.kill();
            let _ = owner.wait();
        }
        self.owner = Owner::Us(None);
        let _ = self.guard.wait();
    }
}

fn bytes(text: &str) -> serde_json::Value {
    json!({ "Unix": text.as_bytes() })
}

/// Somebody who left every group, ignores SIGTERM, and whose parents are gone.
const STUBBORN: &str = r#"
    setsid sh -c 'trap "" TERM; (setsid sh -c "trap \"\" TERM; echo \$\$; exec sleep 1000" &); exec sleep 1000' &
    sh -c 'trap "exit 0" TERM; echo $$; while :; do sleep 1000 & wait; done' &
"#;

fn is_there(pid: &str) -> bool {
    // A zombie is as good as gone.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

#[test]
fn the_status_is_the_programs_own() {
    let mut fixture = Fixture::new("exit 7", None, false);
    assert_eq!(fixture.exit().code(), Some(7));
    let mut fixture = Fixture::new("kill -9 $$", None, false);
    assert_eq!(fixture.exit().code(), Some(137));
}

#[test]
fn the_program_reads_its_input_to_the_end_and_gets_its_environment() {
    let mut fixture =
        Fixture::new("cat; echo; echo $GIVEN-${HOME:-none}-$KUGETSU_SERVER", Some("words"), false);
    assert_eq!(fixture.line(), "words");
    assert_eq!(fixture.line(), format!("yes-none-{}", fixture.marker));
    assert_eq!(fixture.exit().code(), Some(0));
}

#[test]
fn without_input_the_program_reads_nothing_and_does_not_hang() {
    let mut fixture = Fixture::new("cat; echo read", None, false);
    assert_eq!(fixture.line(), "read");
    assert_eq!(fixture.exit().code(), Some(0));
}

#[test]
fn whoever_the_program_leaves_behind_is_ended_with_it() {
    let mut fixture = Fixture::new(&format!("{STUBBORN} read line; exit 3"), Some(""), false);
    // The script ends at once; its children may not even have spoken.
    assert_eq!(fixture.exit().code(), Some(3));
    fixture.wait_until_free();
    assert!(!fixture.private().exists(), "the private directory is still there");
}

#[test]
fn an_owner_that_is_killed_takes_the_whole_tree_with_it() {
    let mut fixture = Fixture::new(&format!("{STUBBORN} wait"), None, true);
    let pids = [fixture.line(), fixture.line()];
    assert!(pids.iter().all(|pid| is_there(pid)));
    fixture.kill_owner();
    fixture.wait_until_free();
    assert!(!pids.iter().any(|pid| is_there(pid)));
    fixture.exit();
    assert!(!fixture.private().exists());
}

#[test]
fn an_owner_that_hangs_up_ends_the_whole_tree() {
    let mut fixture = Fixture::new(&format!("{STUBBORN} wait"), None, false);
    let pids = [fixture.line(), fixture.line()];
    fixture.hang_up();
    fixture.exit();
    assert!(!pids.iter().any(|pid| is_there(pid)));
}

#[test]
fn who_listens_to_sigterm_gets_its_grace() {
    let script = "sh -c 'trap \"echo goodbye; exit 0\" TERM; echo ready; while :; do sleep 1000 & wait; done' & wait";
    let mut fixture = Fixture::new(script, None, false);
    assert_eq!(fixture.line(), "ready");
    fixture.hang_up();
    assert_eq!(fixture.line(), "goodbye");
    fixture.exit();
}

#[test]
fn a_program_whose_guard_is_killed_dies_with_it() {
    let mut fixture = Fixture::new("echo $$; exec sleep 1000", None, false);
    let program: i32 = fixture.line().parse().unwrap();
    let pid = Pid::from_raw(program).unwrap();
    let program = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    rustix::process::kill_process(Pid::from_child(&fixture.guard), Signal::KILL).unwrap();
    let mut polled = [rustix::event::PollFd::new(&program, rustix::event::PollFlags::IN)];
    let bound = rustix::time::Timespec { tv_sec: BOUND.as_secs().try_into().unwrap(), tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut polled, Some(&bound)).unwrap(), 1, "it outlived its guard");
}

#[test]
fn adopted_orphans_leave_no_zombies() {
    let script = "i=0; while [ $i -lt 20 ]; do (setsid sh -c 'exit 0' &) ; i=$((i+1)); done; echo done; read line; exit 0";
    let mut fixture = Fixture::new(script, None, false);
    assert_eq!(fixture.line(), "done");
    fixture.exit();
    fixture.wait_until_free();
}

#[test]
fn a_program_that_is_not_there_is_said_and_ends_with_127() {
    let mut fixture = Fixture::new("exec /nowhere/at/all", None, false);
    assert_eq!(fixture.exit().code(), Some(127));
}

#[test]
fn a_guard_that_nobody_talks_to_ends() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_kugetsu-guard")).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("kugetsu-guard: cannot read"));
}
