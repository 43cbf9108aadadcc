//! The guard: a small process between kugetsu and an agent's program, which sees to it that the
//! whole tree of that program is gone as soon as its owner is.
//!
//! opencode runs its tools in sessions of their own, so that no process group holds them, and it
//! has no signal handlers, so that they outlive it. The guard adopts whatever the tree loses
//! (it is a *child subreaper*), and ends all of it when the program exits, when its owner asks for
//! it, or when its owner is gone in whatever way: the owner holds the other end of a pipe, and
//! the kernel closes that. Should the guard itself be killed, the kernel ends the program with it,
//! and what is left carries a marker by which the next process of kugetsu finds it.
//!
//! The guard is the embedding program itself, started a second time: see [`main_if_asked`].

mod header;
mod owner;
mod program;
mod supervise;

pub(crate) use header::{Header, VarChange};
pub(crate) use owner::{Guarded, Guarding};
pub use program::{GuardError, GuardProgram};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::shell;

/// The argument that tells a program to be the guard.
pub(crate) const ARGUMENT: &str = "__kugetsu-guard";

/// Whether [`main_if_asked`] was called in this process, so that it can be its own guard.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Becomes the guard, or the agents' [own shell](crate::shell), and never returns, if this process
/// was started to be one.
///
/// Call it first in `main`, before any thread is started and before the arguments are read. A
/// program that does so is its own guard and needs nothing beside it. One that does not needs the
/// program `kugetsu-guard`: see [`GuardProgram`].
///
/// Returns at once when the process was started for anything else.
pub fn main_if_asked() {
    ASKED.store(true, Ordering::Relaxed);
    let mut words = std::env::args_os();
    if words.next().is_some_and(|program| shell::is_asked(&program)) {
        shell::main();
    }
    if words.next().is_some_and(|first| first == ARGUMENT) {
        main();
    }
}

/// Is the guard, and exits with the status of the program that it guards; or the agents' shell.
///
/// For the program `kugetsu-guard`, which is nothing else.
pub fn main() -> ! {
    if std::env::args_os().next().is_some_and(|program| shell::is_asked(&program)) {
        shell::main();
    }
    std::process::exit(supervise::run())
}

fn can_be_its_own() -> bool {
    ASKED.load(Ordering::Relaxed)
}
