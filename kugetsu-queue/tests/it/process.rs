//! Other processes: this test program once more, in one of the roles below, driven line by line.

use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdin};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::stores::roles::{opener, rival, writer};
use crate::{chaos, json, serve, slots, sqlite};

const ROLE: &str = "KUGETSU_QUEUE_TEST_ROLE";
const HOME: &str = "KUGETSU_QUEUE_TEST_HOME";

/// What another process says starts with this; the rest is the test harness's.
const SAYS: &str = "» ";

/// Another process. It is killed with whoever drops it.
pub(crate) struct Other {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Other {
    /// Starts one in the role, with the directory to work in.
    pub(crate) fn start(role: &str, home: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["process::another", "--exact", "--nocapture"])
            .env(ROLE, role)
            .env(HOME, home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands, answers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
    }

    /// What it says next; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.answers.next()?.unwrap();
            // Its harness may have begun the line.
            if let Some((_, said)) = line.split_once(SAYS) {
                return Some(said.to_owned());
            }
        }
    }

    /// Tells it to do something, and returns what it answers.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.tell(command);
        self.hear().unwrap()
    }

    /// Stops it, and returns once it stands still.
    pub(crate) fn stop(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
    }

    /// Lets it go on after a [`stop`](Self::stop).
    pub(crate) fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Kills it, and returns once nothing is left of it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Lets it come to its end, which has to be a good one.
    pub(crate) fn end(mut self) {
        drop(self.commands.take());
        while self.hear().is_some() {}
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to whoever started this process.
pub(crate) fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SAYS}{words}").unwrap();
    out.flush().unwrap();
}

/// What whoever started this process wants next; `None` when it wants nothing more.
pub(crate) fn told() -> Option<String> {
    stdin().lines().next().map(Result::unwrap)
}

/// Not a test: where another process begins. Without a role there is nothing to do.
#[test]
fn another() {
    let Ok(role) = env::var(ROLE) else { return };
    let home = env::var_os(HOME).unwrap();
    let home = Path::new(&home);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "chaos" => chaos::roles::chaos(home).await,
            "holder" => slots::roles::holder(home).await,
            "crowd" => slots::roles::crowd(home).await,
            "passer-by" => slots::roles::passer_by(home).await,
            "server" => serve::roles::server(home).await,
            "rival" => rival(sqlite::open(home).await).await,
            "writer" => writer(sqlite::open(home).await).await,
            "opener" => opener(async || sqlite::open(home).await).await,
            "json-rival" => rival(json::open(home).await).await,
            "json-writer" => writer(json::open(home).await).await,
            "json-narrow" => json::faults::narrow(home).await,
            "json-opener" => opener(async || json::open(home).await).await,
            other => panic!("there is no role {other}"),
        }
    });
    // What still waits for its input in a thread does not matter any more.
    runtime.shutdown_background();
}
