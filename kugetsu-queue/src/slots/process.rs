//! Processes, named so that another one with the same number is not taken for them.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A process of this machine, since its last boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// When it started, in the kernel's ticks since boot; 0 if that is not known.
    start: u64,
}

impl Process {
    /// This one.
    pub(super) fn own() -> Self {
        static START: OnceLock<u64> = OnceLock::new();
        let pid = std::process::id();
        Self { pid, start: *START.get_or_init(|| start_of(pid).unwrap_or(0)) }
    }

    /// Whether it still runs. One that has ended and was not waited for does not.
    pub(super) fn is_alive(self) -> bool {
        start_of(self.pid).is_some_and(|start| self.start == 0 || self.start == start)
    }

    /// A descriptor that becomes readable when it ends; `None` if it has ended.
    pub(super) fn watch(self) -> io::Result<Option<OwnedFd>> {
        if !self.is_alive() {
            return Ok(None);
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// When the process started; `None` if there is none, or only what is left of one.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, in which anything may stand.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
