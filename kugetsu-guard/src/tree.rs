//! A program under its guard, recorded on disk so that whoever comes later can end what is left.
//!
//! | file in `trees/` | held or written by |
//! |---|---|
//! | `<id>.owner` | locked by the process that started the tree, and by nobody else |
//! | `<id>.lock` | locked by the guard and the program, so free only when they are gone |
//! | `<id>.json` | what it is, for people |

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::process::{ChildStderr, ChildStdout};

use crate::guard::{Guarded, Guarding};
use crate::marker::Marker;
use crate::proc::Process;
use crate::state::{self, State};

/// What is to run.
pub(crate) struct Plan {
    /// What it is, for people, such as `server`.
    pub(crate) what: &'static str,
    /// What its agents' trees are called.
    pub(crate) label: Option<String>,
    pub(crate) guard: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) directory: PathBuf,
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) grace: Duration,
    /// Open files whose locks the tree is to hold beside its own.
    pub(crate) inherits: Vec<Arc<File>>,
}

/// A living process tree of ours. Dropping it ends the tree, though nobody waits for it.
#[derive(Debug)]
pub(crate) struct Tree {
    guarded: Guarded,
    record: Record,
    /// Free when we let go of it, or are gone.
    _owner: File,
}

/// The files of one tree.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) marker: Marker,
    trees: PathBuf,
    pub(crate) private_tmp: PathBuf,
}

impl Record {
    pub(crate) fn of(state: &State, marker: Marker) -> Self {
        Self { trees: state.trees(), private_tmp: state.tmp().join(marker.id()), marker }
    }

    pub(crate) fn owner(&self) -> PathBuf {
        self.file("owner")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    fn note(&self) -> PathBuf {
        self.file("json")
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.trees.join(format!("{}.{kind}", self.marker))
    }

    /// Forgets the tree. The owner's file goes last, since the others are found by it.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.private_tmp);
        for path in [self.note(), self.lock(), self.owner()] {
            let _ = fs::remove_file(path);
        }
    }

    /// Takes the owner's lock before anybody else can see the file.
    fn claim(&self) -> io::Result<File> {
        let unseen = self.file("new");
        let file = state::try_lock(&unseen)?
            .ok_or_else(|| io::Error::other("another process has the same marker"))?;
        fs::rename(unseen, self.owner())?;
        Ok(file)
    }
}

impl Tree {
    /// Starts the program under its guard, with a private `TMPDIR`.
    pub(crate) async fn start(
        state: &State,
        marker: Marker,
        plan: Plan,
    ) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let record = Record::of(state, marker);
        let owner = record.claim()?;
        let started = Self::start_recorded(&record, plan).await;
        match started {
            Ok((guarded, stdout, stderr)) => {
                Ok((Self { guarded, record, _owner: owner }, stdout, stderr))
            }
            Err(error) => {
                record.remove();
                Err(error)
            }
        }
    }

    async fn start_recorded(
        record: &Record,
        mut plan: Plan,
    ) -> io::Result<(Guarded, ChildStdout, ChildStderr)> {
        let lock = state::try_lock(&record.lock())?
            .ok_or_else(|| io::Error::other("another tree has the same lock"))?;
        fs::DirBuilder::new().mode(0o700).create(&record.private_tmp)?;
        plan.inherits.push(Arc::new(lock));
        plan.env.push(("TMPDIR".into(), Some(record.private_tmp.clone().into())));
        plan.env.push(("PWD".into(), Some(plan.directory.clone().into())));
        let what = plan.what;
        let guarding = Guarding {
            guard: plan.guard,
            program: plan.program,
            args: plan.args,
            env: plan.env,
            directory: plan.directory,
            stdin: plan.stdin,
            marker: record.marker.clone(),
            label: plan.label,
            private_tmp: Some(record.private_tmp.clone()),
            grace: plan.grace,
            inherits: plan.inherits,
        };
        let (guarded, stdout, stderr) = guarding.start().await?;
        write_note(&record.note(), what, guarded.process())?;
        Ok((guarded, stdout, stderr))
    }

    /// The guard's own process.
    pub(crate) fn guard(&self) -> Option<Process> {
        self.guarded.process()
    }

    /// Asks for the end of the tree. [`wait`](Self::wait) tells when it is reached.
    pub(crate) fn end(&mut self) {
        self.guarded.end();
    }

    /// Waits until nothing of the tree is left, and forgets it. The status is the program's, as
    /// the guard has it: 128 and the signal if one ended it. Cancelling is safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.guarded.wait().await?;
        self.record.remove();
        Ok(status)
    }
}

fn write_note(path: &std::path::Path, what: &str, guard: Option<Process>) -> io::Result<()> {
    use std::io::Write as _;
    let note = json!({
        "what": what,
        "owner": std::process::id(),
        "guard": guard.map(|guard| json!({ "pid": guard.pid, "start": guard.start })),
    });
    writeln!(state::private_file(path)?, "{note}")
}
