//! What has to happen between `fork` and `exec`, and what was inherited over both: the only unsafe
//! code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use rustix::fs::FileType;
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

/// Takes the pipe that this process has inherited from whoever started it, at this number.
pub(crate) fn inherited_pipe(number: i32) -> io::Result<OwnedFd> {
    let not_one = || io::Error::new(io::ErrorKind::InvalidInput, "the input is no inherited pipe");
    if number <= 2 {
        return Err(not_one());
    }
    // SAFETY: it is looked at by two system calls, which say so if it is not open, and nothing else
    // is done while this is borrowed.
    let found = unsafe { BorrowedFd::borrow_raw(number) };
    let is_inherited = !rustix::io::fcntl_getfd(found)?.contains(FdFlags::CLOEXEC);
    let kind = FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode);
    if !is_inherited || kind != FileType::Fifo {
        return Err(not_one());
    }
    // SAFETY: Rust opens everything so that it closes on `exec`, and this does not. So it was open
    // before this process ran, and belongs to nobody else in it. A second call finds the flag set.
    let pipe = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&pipe, FdFlags::CLOEXEC)?;
    Ok(pipe)
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
