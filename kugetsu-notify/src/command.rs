//! Notices for a program of the user's own.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::{Notice, Notifier, NotifyError, Retry};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};

/// `EX_DATAERR` of `sysexits.h`: the program will never take this notice.
const REFUSED: i32 = 65;

/// How much of the end of what a program says is kept.
const KEPT: usize = 4096;

/// How long what a program said last is awaited, should something that it has started still hold
/// its standard error open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a program for each notice, with the notice as one line of JSON on its standard input.
///
/// # Promises
///
/// * The program is run as it is named, with its arguments, through no shell; only the standard
///   input depends on the notice.
/// * It may exit with 0 (delivered), with 65 (`EX_DATAERR`: refused, not to be tried again), or with
///   anything else (a failure that may pass).
/// * When `notify` has returned, or was dropped, nothing of the program's process group is alive,
///   whether it came to its end or to the limit of its time.
/// * What it writes is read and forgotten but for the last line of its standard error, which is in
///   the error.
#[derive(Debug, Clone)]
pub struct CommandNotifier {
    name: String,
    program: OsString,
    arguments: Vec<OsString>,
    limit: Duration,
}

impl CommandNotifier {
    /// A sink of this name that runs `program`, a path or a name that is looked up on `PATH`.
    pub fn new(name: impl Into<String>, program: impl Into<OsString>) -> Self {
        let limit = Duration::from_secs(30);
        Self { name: name.into(), program: program.into(), arguments: vec![], limit }
    }

    /// Runs it with these arguments.
    pub fn with_arguments(
        mut self,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Gives the program so much time; 30 s unless set.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    async fn run(&self, notice: Vec<u8>) -> io::Result<Ended> {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut group = Group::of(child)?;
        let (input, errors) = (group.child.stdin.take(), group.child.stderr.take());
        let write = async move {
            if let Some(mut input) = input {
                // A program that does not care to read is none of our business.
                let _ = input.write_all(&notice).await;
                let _ = input.shutdown().await;
            }
        };
        let mut said = Said::default();
        let done = {
            let work = async {
                let exited = group.leader_has_exited();
                tokio::pin!(exited, write);
                tokio::select! {
                    exited = &mut exited => exited,
                    () = &mut write => exited.await,
                }
            };
            let listen = said.listen(errors);
            tokio::pin!(work, listen);
            let watched = async {
                tokio::select! {
                    exited = &mut work => exited?,
                    () = &mut listen => return work.await,
                }
                let _ = tokio::time::timeout(LAST_WORDS, &mut listen).await;
                Ok(())
            };
            tokio::time::timeout(self.limit, watched).await
        };
        let in_time = done.is_ok();
        done.unwrap_or(Ok(()))?;
        let status = group.end().await?;
        Ok(Ended { status: in_time.then_some(status), said: said.last_line() })
    }
}

#[async_trait]
impl Notifier for CommandNotifier {
    fn name(&self) -> &str {
        &self.name
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let fault = |retry, source: Box<dyn std::error::Error + Send + Sync>| {
            let operation = format!("run {}", self.program.to_string_lossy());
            NotifyError::Backend { who: self.name.clone(), operation, retry, source }
        };
        let mut line =
            serde_json::to_vec(notice).map_err(|error| fault(Retry::Never, error.into()))?;
        line.push(b'\n');
        let ended = self.run(line).await.map_err(|error| {
            let never =
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
            fault(if never { Retry::Never } else { Retry::Later }, error.into())
        })?;
        match ended.status {
            Some(status) if status.success() => Ok(()),
            Some(status) if status.code() == Some(REFUSED) => Err(NotifyError::Refused {
                who: self.name.clone(),
                why: ended.said.unwrap_or_else(|| format!("it exited with {REFUSED}")),
            }),
            _ => Err(fault(Retry::Later, ended.words(self.limit).into())),
        }
    }
}

/// How a program ended.
struct Ended {
    /// `None` if it took too long.
    status: Option<ExitStatus>,
    said: Option<String>,
}

impl Ended {
    fn words(&self, limit: Duration) -> String {
        let how = match self.status {
            None => format!("it was ended after {} s", limit.as_secs_f64()),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("it exited with {code}"),
                (None, Some(signal)) => format!("signal {signal} ended it"),
                (None, None) => "it ended".to_owned(),
            },
        };
        match &self.said {
            Some(said) => format!("{how}: {said}"),
            None => how,
        }
    }
}

/// A program and its process group, which ends with this value.
struct Group {
    child: Child,
    /// The group's id until its leader is reaped: only so long does the id belong to nobody else.
    id: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if id.is_none() {
            return Err(io::Error::other("it was gone before it began"));
        }
        Ok(Self { child, id })
    }

    /// Returns once the leader has exited; it is not reaped.
    async fn leader_has_exited(&self) -> io::Result<()> {
        let Some(id) = self.id else { return Ok(()) };
        let wait = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(id), options))
        };
        tokio::task::spawn_blocking(wait).await.map_err(io::Error::other)??;
        Ok(())
    }

    /// Ends whatever there is of the group, and says how its leader ended.
    async fn end(mut self) -> io::Result<ExitStatus> {
        self.kill();
        self.child.wait().await
    }

    fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // It fails only if there is nobody left.
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of what a program has said.
#[derive(Default)]
struct Said(Vec<u8>);

impl Said {
    async fn listen(&mut self, errors: Option<ChildStderr>) {
        let Some(mut errors) = errors else { return };
        let mut some = [0; 1024];
        while let Ok(count @ 1..) = errors.read(&mut some).await {
            self.0.extend_from_slice(&some[..count]);
            let surplus = self.0.len().saturating_sub(KEPT);
            self.0.drain(..surplus);
        }
    }

    /// The last line that is not empty, without control characters and of a bounded length.
    fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().filter(|char| !char.is_control()).take(500).collect())
    }
}
