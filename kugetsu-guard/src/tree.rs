//! A program under its guard, recorded on disk so that whoever comes later can end what is left.
//!
//! | file in `trees/` | held or written by |
//! |---|---|
//! | `<id>.owner` | locked by the process that started the tree, and by nobody else |
//! | `<id>.lock` | locked by the guard and the program, so free only when they are gone |
//! | `<id>.json` | what it is, for people |

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde_json::json;
use tokio::process::{ChildStderr, ChildStdout};

use crate::label;
use crate::marker::Marker;
use crate::owner::{self, Guarded};
use crate::proc::Process;
use crate::{GuardError, Plan, Trees, Usage, files};

/// Why nothing was started. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The guard could not be started, or the tree could not be recorded.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A tree that was started, and what it says.
///
/// Both outputs are pipes: whoever does not read them holds the program up, and whoever drops one ends
/// it as soon as it writes there. Each is at its end when nobody is left who could write to it, so at
/// the latest with the tree.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// The tree.
    pub tree: Tree,
    /// The program's standard output.
    pub stdout: ChildStdout,
    /// The program's standard error, and what the guard has to say.
    pub stderr: ChildStderr,
}

/// A living process tree of ours. Dropping it ends the tree, though nobody waits for it.
#[derive(Debug)]
pub struct Tree {
    guarded: Guarded,
    record: Record,
    /// Free when we let go of it, or are gone.
    _owner: File,
}

impl Tree {
    /// The tree's name, which no other tree has: 32 lower-case hexadecimal digits.
    pub fn name(&self) -> &str {
        self.record.marker.id()
    }

    /// The guard's own process.
    pub fn guard(&self) -> Option<Process> {
        self.guarded.process()
    }

    /// What the tree uses now: its guard, all that descends from it, and whoever carries its marker.
    /// Nothing, if it is gone. Blocks the thread for as long as it takes to look through `/proc` and
    /// at the memory of each process.
    pub fn usage(&self) -> Usage {
        Usage::of_tree(self.guard(), &self.record.marker)
    }

    /// Asks for the end of the tree: SIGTERM to all of it, and SIGKILL when the plan's grace is over
    /// or nobody is left who listens to SIGTERM. [`wait`](Self::wait) tells when it is reached.
    pub fn end(&mut self) {
        self.guarded.end();
    }

    /// Asks for the end of the tree without any grace, also while a grace is running.
    pub fn end_now(&mut self) {
        self.guarded.end_now();
    }

    /// Waits until nothing of the tree is left, and forgets it. The status is the program's, as
    /// the guard has it: 128 and the signal if one ended it, 127 if it could not be started, and none
    /// if the guard itself was killed. Cancelling is safe: a later call waits on.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.guarded.wait().await?;
        self.record.remove();
        Ok(status)
    }
}

/// Starts the program under its guard, with a private `TMPDIR`.
pub(crate) async fn start(trees: &Trees, plan: Plan) -> Result<Started, StartError> {
    let guard = plan.guard.resolve()?;
    let record = Record::of(trees, Marker::new()?);
    let owner = record.claim()?;
    match start_recorded(&record, &guard, plan).await {
        Ok((guarded, stdout, stderr)) => {
            Ok(Started { tree: Tree { guarded, record, _owner: owner }, stdout, stderr })
        }
        Err(error) => {
            record.remove();
            Err(error.into())
        }
    }
}

async fn start_recorded(
    record: &Record,
    guard: &Path,
    mut plan: Plan,
) -> io::Result<(Guarded, ChildStdout, ChildStderr)> {
    let lock = files::try_lock(&record.lock())?
        .ok_or_else(|| io::Error::other("another tree has the same lock"))?;
    fs::DirBuilder::new().mode(0o700).create(&record.private_tmp)?;
    plan.environment.extend([
        ("TMPDIR".into(), Some(record.private_tmp.clone().into())),
        ("PWD".into(), Some(plan.directory.clone().into())),
        (label::VARIABLE.into(), plan.label.clone().map(Into::into)),
    ]);
    let what = plan.what.clone();
    let private_tmp = record.private_tmp.clone();
    let started = owner::start(guard, plan, &record.marker, private_tmp, lock).await?;
    write_note(&record.note(), &what, started.0.process())?;
    Ok(started)
}

/// The files of one tree.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) marker: Marker,
    records: PathBuf,
    private_tmp: PathBuf,
}

impl Record {
    pub(crate) fn of(trees: &Trees, marker: Marker) -> Self {
        Self { records: trees.records(), private_tmp: trees.tmp().join(marker.id()), marker }
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
        self.records.join(format!("{}.{kind}", self.marker))
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
        let file = files::try_lock(&unseen)?
            .ok_or_else(|| io::Error::other("another process has the same marker"))?;
        fs::rename(unseen, self.owner())?;
        Ok(file)
    }
}

fn write_note(path: &Path, what: &str, guard: Option<Process>) -> io::Result<()> {
    let note = json!({
        "what": what,
        "owner": std::process::id(),
        "guard": guard.map(|guard| json!({ "pid": guard.pid, "start": guard.start })),
    });
    writeln!(files::private_file(path)?, "{note}")
}
