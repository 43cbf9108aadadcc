//! Being the guard, which is the embedding program itself, started a second time.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{shell, supervise};

/// The argument that tells a program to be the guard.
pub(crate) const ARGUMENT: &str = "__kugetsu-guard";

/// Whether [`main_if_asked`] was called in this process, so that it can be its own guard.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Becomes the guard, or the agents' [own shell](crate::shell), and never returns, if this process
/// was started to be one.
///
/// Call it first in `main`, before any thread is started and before the arguments are read. A
/// program that does so is its own guard and needs nothing beside it. One that does not needs the
/// program `kugetsu-guard`: see [`GuardProgram`](crate::GuardProgram).
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

pub(crate) fn can_be_its_own() -> bool {
    ASKED.load(Ordering::Relaxed)
}
