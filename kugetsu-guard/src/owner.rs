//! The owner's side of a guard.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::Plan;
use crate::asked::ARGUMENT;
use crate::header::{END, END_NOW, Header, VarChange};
use crate::input::Kind;
use crate::marker::Marker;
use crate::proc::{self, Process};
use crate::spawn;

/// A program under its guard. Dropping this ends the whole tree, though nobody waits for it.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    line: Option<ChildStdin>,
    marker: Marker,
    process: Option<Process>,
}

/// Starts the guard, and through it the program.
///
/// `private_tmp` is a directory whose last component is the marker's id; the guard removes it.
/// `lock` is held by the whole tree as long as it lives.
pub(crate) async fn start(
    guard: &Path,
    plan: Plan,
    marker: &Marker,
    private_tmp: PathBuf,
    lock: File,
) -> io::Result<(Guarded, ChildStdout, ChildStderr)> {
    let mut inherits = plan.inherits;
    inherits.push(Arc::new(lock));
    let (bytes, pipe) = match plan.input.0 {
        Kind::Nothing => (None, None),
        Kind::Bytes(bytes) => (Some(bytes), None),
        Kind::Pipe(pipe) => (None, Some(pipe)),
    };
    let changes = plan.environment.changes().iter().cloned();
    let header = Header {
        program: plan.program,
        args: plan.args,
        env: changes.map(|(name, value)| VarChange { name, value }).collect(),
        directory: plan.directory,
        stdin: bytes.as_ref().map(|input| input.len() as u64),
        // A descriptor that is inherited keeps its number.
        stdin_pipe: pipe.as_deref().map(AsRawFd::as_raw_fd),
        marker: marker.clone(),
        private_tmp: Some(private_tmp),
        grace_millis: u64::try_from(plan.grace.as_millis()).unwrap_or(u64::MAX),
    }
    .encode()?;
    inherits.extend(pipe);

    let mut command = Command::new(guard);
    let (name, value) = marker.variable();
    command.arg(ARGUMENT).args(&plan.label).env(name, value);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What people see in a list of processes; the program may be `/proc/self/exe`.
    command.arg0("kugetsu-guard");
    spawn::inherit(command.as_std_mut(), inherits);
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
    line.write_all(bytes.as_deref().unwrap_or_default()).await?;
    line.flush().await?;
    Ok((Guarded { guard, line: Some(line), marker: marker.clone(), process }, stdout, stderr))
}

impl Guarded {
    /// The guard's own process.
    pub(crate) fn process(&self) -> Option<Process> {
        self.process
    }

    /// Asks for the end of the whole tree. [`wait`](Self::wait) tells when it is reached.
    pub(crate) fn end(&mut self) {
        self.say(END);
    }

    /// Asks for the end without grace, also if the end was asked for before.
    pub(crate) fn end_now(&mut self) {
        self.say(END_NOW);
    }

    /// The guard reads all that it is told, so there is room for a byte. If there is not, or if the
    /// guard is gone, hanging up says the rest.
    fn say(&mut self, word: u8) {
        let Some(line) = &self.line else { return };
        if rustix::io::write(line, &[word]).is_err() {
            self.line = None;
        }
    }

    /// Waits until the guard is gone, and with it the whole tree.
    ///
    /// A guard that was killed itself could not end its tree; then whoever carries its marker is
    /// ended here. Cancelling is safe: a later call waits on.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        // tokio's own `wait` would close the guard's standard input; it was taken out before.
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
