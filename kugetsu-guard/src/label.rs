//! What a runner's process trees are called, so that a program knows whose agent has started it.
//!
//! The label stands in the environment of whatever an agent starts, and in the command line of the
//! tree's guard. A process that has thrown away its environment still descends from the guard, who
//! adopts what its tree loses; only one whose guard was killed is known by nothing any more.

use crate::asked::ARGUMENT;
use crate::proc;

/// The environment variable in which the label stands.
pub const VARIABLE: &str = "KUGETSU_TREE";

/// The labels of the trees that this process belongs to by descent, the innermost first.
pub fn of_ancestors() -> Vec<String> {
    let me = rustix::process::getpid().as_raw_nonzero().get();
    proc::ancestors(me).into_iter().filter_map(of_guard).collect()
}

/// The label of the tree that this process guards, if it is a guard.
fn of_guard(pid: i32) -> Option<String> {
    let words = proc::words(pid);
    match words.as_slice() {
        [_, argument, label, ..] if argument == ARGUMENT.as_bytes() && !label.is_empty() => {
            Some(String::from_utf8_lossy(label).into_owned())
        }
        _ => None,
    }
}
