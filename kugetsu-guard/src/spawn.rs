//! What has to happen between `fork` and `exec`: the only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use rustix::io::FdFlags;
use rustix::process::Signal;

/// Lets the command's process, and whatever it starts, inherit these open files and with them
/// their kernel locks.
///
/// Every other file that Rust opened stays behind, because it closes on `exec`.
pub(crate) fn inherit(command: &mut Command, files: Vec<Arc<File>>) {
    // SAFETY: the closure runs between fork and exec. It makes one `fcntl` system call per file,
    // directly and without the allocator or any lock, on files that it keeps open itself.
    unsafe {
        command.pre_exec(move || {
            for file in &files {
                rustix::io::fcntl_setfd(file, FdFlags::empty())?;
            }
            Ok(())
        });
    }
}

/// Has the kernel send SIGKILL to the command's process when the thread that spawns it ends.
pub(crate) fn die_with_this_thread(command: &mut Command) {
    let parent = rustix::process::getpid();
    // SAFETY: the closure runs between fork and exec and makes two system calls, directly and
    // without the allocator or any lock.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have gone before the signal was asked for.
            if rustix::process::getppid() == Some(parent) {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()))
            }
        });
    }
}
