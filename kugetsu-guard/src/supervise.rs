//! The guard's own life: start the program, adopt what it loses, end all of it.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions, WaitStatus};

use crate::header::{END, END_NOW, Header};
use crate::marker::Marker;
use crate::proc;
use crate::spawn;

/// The status of a guard that could not start the program, as a shell has it.
const CANNOT_START: i32 = 127;
/// The status of a guard whose owner said nothing that it understands.
const NOT_UNDERSTOOD: i32 = 125;

/// What wakes the guard.
enum Woken {
    /// The program itself has ended.
    ProgramEnded(WaitStatus),
    /// No process is left of the whole tree.
    TreeGone,
    /// The owner asks for the end, or is gone.
    OwnerWantsEnd,
    /// The owner asks for the end without grace.
    OwnerWantsEndNow,
}

/// Runs the guard to its end and returns the status to exit with.
pub(crate) fn run() -> i32 {
    // Away from the owner's terminal: a Ctrl-C there is for the owner alone.
    let _ = rustix::process::setsid();
    let mut stdin = io::stdin().lock();
    let (header, input) = match Header::read(&mut stdin) {
        Ok(read) => read,
        Err(error) => return say(NOT_UNDERSTOOD, &format!("cannot read what to start: {error}")),
    };
    drop(stdin);
    let status = match guard(&header, input) {
        Ok(status) => status,
        Err(error) => {
            say(CANNOT_START, &format!("cannot start {}: {error}", header.program.display()))
        }
    };
    if let Some(private_tmp) = &header.private_tmp {
        remove_private(private_tmp, &header.marker);
    }
    status
}

fn guard(header: &Header, input: Option<Vec<u8>>) -> io::Result<i32> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let program = start(header, input)?;
    // The program's output is at its end when the program says so, not when we are gone, too.
    rustix::stdio::dup2_stdout(fs::OpenOptions::new().write(true).open("/dev/null")?)?;
    let (tell, woken) = mpsc::channel();
    let reaper = tell.clone();
    thread::Builder::new().name("reaper".into()).spawn(move || reap(program, &reaper))?;
    thread::Builder::new().name("owner".into()).spawn(move || watch_owner(&tell))?;

    let mut status = None;
    let mut grace = Duration::from_millis(header.grace_millis);
    match woken.recv() {
        Ok(Woken::ProgramEnded(ended)) => status = Some(ended),
        Ok(Woken::OwnerWantsEnd) | Err(_) => {}
        Ok(Woken::OwnerWantsEndNow) => grace = Duration::ZERO,
        Ok(Woken::TreeGone) => return Ok(code(status)),
    }
    end_tree(&woken, &mut status, grace);
    // Whatever left the tree in a way that is not known of still carries the marker.
    while let carriers @ [_, ..] = proc::carriers(&header.marker).as_slice() {
        for process in carriers {
            process.signal(Signal::KILL);
        }
        thread::sleep(POLL);
    }
    Ok(code(status))
}

/// Starts the program from the main thread, which lives as long as the guard does: the kernel's
/// death signal is tied to the thread.
fn start(header: &Header, input: Option<Vec<u8>>) -> io::Result<i32> {
    let mut command = Command::new(&header.program);
    command.args(&header.args).current_dir(&header.directory);
    for change in &header.env {
        match &change.value {
            Some(value) => command.env(&change.name, value),
            None => command.env_remove(&change.name),
        };
    }
    let (name, value) = header.marker.variable();
    command.env(name, value);
    command.stdin(match (header.stdin_pipe, &input) {
        // The command keeps it open, and only until the program is started.
        (Some(pipe), _) => spawn::inherited_pipe(pipe)?.into(),
        (None, Some(_)) => Stdio::piped(),
        (None, None) => Stdio::null(),
    });
    spawn::die_with_this_thread(&mut command);
    let mut child = command.spawn()?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        thread::Builder::new().name("input".into()).spawn(move || {
            // A program that does not read to the end has its reasons.
            let _ = pipe.write_all(&input);
        })?;
    }
    Ok(rustix::process::Pid::from_child(&child).as_raw_nonzero().get())
}

/// Waits for every child, adopted ones too, until there is none.
fn reap(program: i32, tell: &Sender<Woken>) {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program => {
                let _ = tell.send(Woken::ProgramEnded(status));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _ = tell.send(Woken::TreeGone);
}

/// Reads the pipe whose other end the owner holds.
fn watch_owner(tell: &Sender<Woken>) {
    let mut byte = [0];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(1) => {
                let told = match byte {
                    [END] => tell.send(Woken::OwnerWantsEnd),
                    [END_NOW] => tell.send(Woken::OwnerWantsEndNow),
                    _ => Ok(()),
                };
                if told.is_err() {
                    return;
                }
            }
            _ => break,
        }
    }
    let _ = tell.send(Woken::OwnerWantsEnd);
}

/// How long the guard waits between two looks at a tree that does not want to end.
const POLL: Duration = Duration::from_millis(10);

/// Ends every descendant: politely where somebody listens, then surely.
fn end_tree(woken: &Receiver<Woken>, status: &mut Option<WaitStatus>, grace: Duration) {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    let mut kill_at = Instant::now() + grace;
    for process in proc::descendants(me) {
        process.signal(Signal::TERM);
    }
    loop {
        let left = proc::descendants(me);
        let surely = Instant::now() >= kill_at || !left.iter().any(|p| p.listens_to_term());
        if surely {
            for process in &left {
                process.signal(Signal::KILL);
            }
        }
        match woken.recv_timeout(POLL) {
            Ok(Woken::ProgramEnded(ended)) => *status = Some(ended),
            Ok(Woken::TreeGone) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Woken::OwnerWantsEndNow) => kill_at = Instant::now(),
            Ok(Woken::OwnerWantsEnd) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Removes the tree's own directory, and nothing that is not one: its name ends in the marker.
fn remove_private(directory: &Path, marker: &Marker) {
    let is_ours = directory.file_name().is_some_and(|name| name == marker.id());
    if directory.is_absolute() && is_ours {
        let _ = fs::remove_dir_all(directory);
    }
}

/// The status as a shell has it: the program's own, or 128 and the signal that ended it.
fn code(status: Option<WaitStatus>) -> i32 {
    status.map_or(CANNOT_START, |status| {
        status.exit_status().or(status.terminating_signal().map(|s| 128 + s)).unwrap_or(1)
    })
}

/// Nobody but the owner reads the guard's standard error.
fn say(status: i32, what: &str) -> i32 {
    let _ = writeln!(io::stderr(), "kugetsu-guard: {what}");
    status
}
