//! Starting the daemon, stopping it, and looking at it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::json;

use super::run::READY;
use super::{install, lock, log, service};
use crate::args::{QueueDaemon, StopDaemon};
use crate::commands::queue;
use crate::errors::{CliError, Kind};
use crate::screen::time;
use crate::setup::Setup;

/// How long a daemon without agents needs to end, at most; a longer wait is told.
const SOON: Duration = Duration::from_secs(2);

/// How often a log is looked at that is followed.
const LOOK: Duration = Duration::from_millis(500);

pub(in crate::commands) fn control(args: QueueDaemon, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    match args {
        QueueDaemon::Start => start(setup),
        QueueDaemon::Stop(args) => {
            let was = stop(&args, setup)?;
            told(setup, was.0, None, was.1)
        }
        QueueDaemon::Restart(args) => stop(&args, setup).and_then(|_| start(setup)),
        QueueDaemon::Install(args) => install::install(&args, setup),
        QueueDaemon::Logs { lines, follow } => logs(lines, follow, setup),
        QueueDaemon::Run { .. } | QueueDaemon::Status => {
            Err(CliError::failed("the daemon needs a runtime"))
        }
    }
}

fn start(setup: &Setup) -> Result<(), CliError> {
    let (screen, paths) = (setup.screen(), setup.paths()?);
    match lock::holder(paths)? {
        Some(holder) if holder.what.is_some() => return Err(lock::taken(paths)?),
        Some(holder) => return told(setup, "running", Some(holder.pid), "The daemon runs already"),
        None => {}
    }
    let told_io = |error| CliError::io("start the daemon", &error);
    std::fs::create_dir_all(paths.queue()).map_err(told_io)?;
    let path = paths.queue().join("daemon.log");
    let log = log::append(&path).map_err(told_io)?;
    let program = std::env::current_exe().map_err(told_io)?;
    let mut command = Command::new(program);
    for setting in setup.flags() {
        command.arg("--config").arg(setting);
    }
    for variable in service::VARIABLES {
        command.env_remove(variable);
    }
    let mut child = command
        .args(["queue-daemon", "run", "--detached"])
        .current_dir(paths.root())
        .env("KUGETSU_DIR", paths.root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(told_io)?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).map_err(told_io)?;
    }
    if said.trim() == READY {
        return told(setup, "started", lock::daemon(paths)?, "The daemon is started");
    }
    if let Some(pid) = lock::daemon(paths)?
        && u32::try_from(pid.as_raw_nonzero().get()).ok() != Some(child.id())
    {
        // Somebody else was faster.
        return told(setup, "running", Some(pid), "The daemon runs already");
    }
    let last = last_lines(&path, 1).unwrap_or_default();
    let why = last.first().map(|line| format!(": {line}")).unwrap_or_default();
    Err(CliError::failed(format!("the daemon did not start{why}"))
        .hint(format!("its log is {}", screen.path(&path))))
}

/// Stops it, and returns what there is to tell of that: a word and a sentence.
fn stop(args: &StopDaemon, setup: &Setup) -> Result<(&'static str, &'static str), CliError> {
    const STOPPED: (&str, &str) = ("stopped", "The daemon is stopped");
    let paths = setup.paths()?;
    let told_io = |error: io::Error| CliError::io("stop the daemon", &error);
    let Some(pid) = lock::daemon(paths)? else {
        return Ok(("not running", "The daemon does not run"));
    };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(STOPPED);
    };
    // What the descriptor names held the lock before it was opened; it still does, so it is no
    // later process of the same number.
    if lock::daemon(paths)? != Some(pid) {
        return Ok(STOPPED);
    }
    let send = |signal| match pidfd_send_signal(&process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(told_io(error.into())),
    };
    send(Signal::TERM)?;
    if args.now {
        // Another signal, since two of the same kind may come as one.
        send(Signal::INT)?;
    }
    let ends_within = |time: Duration| {
        let limit = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)))
            .map(|ended| ended > 0)
            .map_err(|error| told_io(error.into()))
    };
    let soon = args.within.min(SOON);
    let mut has_ended = ends_within(soon)?;
    if !has_ended && args.within > soon {
        setup.screen().remark("Waiting for the running agents to end; `--now` stops them.");
        has_ended = ends_within(args.within.saturating_sub(soon))?;
    }
    if !has_ended {
        let message = format!("the daemon waits for its agents, still after {:?}", args.within);
        return Err(CliError::new(Kind::Temporary, message)
            .hint("it starts no more agents; `--now` stops those that run"));
    }
    Ok(STOPPED)
}

/// Says whether the daemon runs, since when, and what holds the queue.
pub(in crate::commands) async fn status(setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let (screen, daemon) = (setup.screen(), super::daemon(setup)?);
    let holds = setup.holds().await?.active().await?;
    if screen.json {
        screen.answer(&json!({
            "daemon": if daemon.is_some() { "running" } else { "not running" },
            "pid": daemon.map(|daemon| daemon.pid),
            "since": daemon.and_then(|daemon| daemon.since).and_then(time::rfc3339),
            "holds": queue::json_of(&holds),
        }))?;
    } else {
        screen.say(match daemon {
            Some(daemon) => format!("The daemon runs ({}).", lock::words(daemon.pid, daemon.since)),
            None => "The daemon does not run.".to_owned(),
        })?;
        queue::remark(setup, &holds)?;
    }
    if daemon.is_some() { Ok(()) } else { Err(CliError::silent()) }
}

fn told(setup: &Setup, word: &str, pid: Option<Pid>, sentence: &str) -> Result<(), CliError> {
    let (screen, pid) = (setup.screen(), pid.map(|pid| pid.as_raw_nonzero().get()));
    if screen.json {
        return screen.answer(&json!({ "daemon": word, "pid": pid }));
    }
    match pid {
        Some(pid) => screen.say(format!("{sentence} (process {pid}).")),
        None => screen.say(format!("{sentence}.")),
    }
}

fn logs(lines: usize, follow: bool, setup: &Setup) -> Result<(), CliError> {
    let path = setup.paths()?.queue().join("daemon.log");
    let told_io = |error| CliError::io(format_args!("read {}", path.display()), &error);
    let shown = match std::fs::metadata(&path) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(told_io(error)),
    };
    if shown > 0 {
        for line in last_lines(&path, lines).map_err(told_io)? {
            setup.screen().say(line)?;
        }
    }
    if follow { added(&path, shown, setup) } else { Ok(()) }
}

/// Shows what is added to the log after its first `shown` bytes, until the command is ended.
fn added(path: &Path, mut shown: u64, setup: &Setup) -> Result<(), CliError> {
    let told_io = |error| CliError::io(format_args!("read {}", path.display()), &error);
    loop {
        std::thread::sleep(LOOK);
        let Ok(mut file) = File::open(path) else { continue };
        if file.metadata().map_err(told_io)?.len() < shown {
            // A new one was begun.
            shown = 0;
        }
        let mut more = Vec::new();
        file.seek(SeekFrom::Start(shown)).map_err(told_io)?;
        file.read_to_end(&mut more).map_err(told_io)?;
        let whole = more.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in String::from_utf8_lossy(&more[..whole]).lines() {
            setup.screen().say(line)?;
        }
        shown += u64::try_from(whole).unwrap_or_default();
    }
}

fn last_lines(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let text = std::fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    Ok(all[from..].iter().map(|line| (*line).to_owned()).collect())
}
