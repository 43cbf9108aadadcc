//! The owner's side of a guard.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::{ARGUMENT, Header, VarChange};
use crate::marker::Marker;
use crate::proc::{self, Process};
use crate::spawn;

/// What is to run under a guard.
pub(crate) struct Guarding {
    /// The program that is the guard, as [`GuardProgram`](super::GuardProgram) found it.
    pub(crate) guard: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, Option<OsString>)>,
    pub(crate) directory: PathBuf,
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) marker: Marker,
    /// What the tree is called, in the guard's own command line.
    pub(crate) label: Option<String>,
    /// A directory whose last component is the marker's id; the guard removes it.
    pub(crate) private_tmp: Option<PathBuf>,
    pub(crate) grace: Duration,
    /// Open files whose locks the guard and its tree hold as long as they live.
    pub(crate) inherits: Vec<Arc<File>>,
}

/// A program under its guard. Dropping this ends the whole tree, though nobody waits for it.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    line: Option<ChildStdin>,
    marker: Marker,
    process: Option<Process>,
}

impl Guarding {
    /// Starts the guard, and through it the program.
    pub(crate) async fn start(self) -> io::Result<(Guarded, ChildStdout, ChildStderr)> {
        let header = Header {
            program: self.program,
            args: self.args,
            env: self.env.into_iter().map(|(name, value)| VarChange { name, value }).collect(),
            directory: self.directory,
            stdin: self.stdin.as_ref().map(|input| input.len() as u64),
            marker: self.marker.clone(),
            private_tmp: self.private_tmp,
            grace_millis: u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX),
        }
        .encode()?;

        let mut command = Command::new(&self.guard);
        let (name, value) = self.marker.variable();
        command.arg(ARGUMENT).args(&self.label).env(name, value);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // What people see in a list of processes; the program may be `/proc/self/exe`.
        command.arg0("kugetsu-guard");
        spawn::inherit(command.as_std_mut(), self.inherits);
        let mut guard = command.spawn()?;
        // The command holds the inherited files open; from here on only the tree does.
        drop(command);

        let process = guard.id().and_then(|pid| Process::of(i32::try_from(pid).ok()?));
        let (Some(mut line), Some(stdout), Some(stderr)) =
            (guard.stdin.take(), guard.stdout.take(), guard.stderr.take())
        else {
            return Err(io::Error::other("the guard has no pipes"));
        };
        line.write_all(&header).await?;
        line.write_all(self.stdin.as_deref().unwrap_or_default()).await?;
        line.flush().await?;
        Ok((Guarded { guard, line: Some(line), marker: self.marker, process }, stdout, stderr))
    }
}

impl Guarded {
    /// The guard's own process.
    pub(crate) fn process(&self) -> Option<Process> {
        self.process
    }

    /// Asks for the end of the whole tree. [`wait`](Self::wait) tells when it is reached.
    pub(crate) fn end(&mut self) {
        self.line = None;
    }

    /// Waits until the guard is gone, and with it the whole tree.
    ///
    /// A guard that was killed itself could not end its tree; then whoever carries its marker is
    /// ended here. Cancelling is safe: a later call waits on.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.guard.wait().await?;
        self.line = None;
        if status.code().is_none() {
            let marker = self.marker.clone();
            tokio::task::spawn_blocking(move || {
                proc::end_carriers(&marker, Duration::from_secs(5))
            })
            .await
            .map_err(io::Error::other)?;
        }
        Ok(status)
    }
}
