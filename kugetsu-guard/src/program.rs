//! Which program is started to be the guard.

use std::env;
use std::path::{Path, PathBuf};

use crate::asked;
use crate::find::find_program;

/// Which program is started to be the guard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardProgram(Choice);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Choice {
    #[default]
    Find,
    At(PathBuf),
}

/// There is no guard, so nothing may be started that it would have to guard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// Neither this program nor one beside it can be the guard.
    #[error(
        "no program can guard the agent: call `kugetsu_guard::main_if_asked()` first in \
         `main`, or put the program `kugetsu-guard` beside this one or on PATH"
    )]
    Missing,
    /// The program that was named is not there.
    #[error("the guard program {path} is not there; name one that is, or none to have it found")]
    NotThere {
        /// The path that was named.
        path: PathBuf,
    },
}

const NAME: &str = "kugetsu-guard";

impl GuardProgram {
    /// Finds it: this very program if it called [`main_if_asked`](crate::main_if_asked), else
    /// `kugetsu-guard` beside it, else `kugetsu-guard` on `PATH`.
    pub fn find() -> Self {
        Self(Choice::Find)
    }

    /// A program that calls [`main_if_asked`](crate::main_if_asked) or [`main`](crate::main).
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(Choice::At(path.into()))
    }

    /// The path to start. Whoever would start something with it can ask here whether it is there.
    pub fn resolve(&self) -> Result<PathBuf, GuardError> {
        match &self.0 {
            Choice::At(path) if path.is_file() => Ok(path.clone()),
            Choice::At(path) => Err(GuardError::NotThere { path: path.clone() }),
            // The link names the running program even after the file was replaced by an upgrade.
            Choice::Find if asked::can_be_its_own() => Ok(PathBuf::from("/proc/self/exe")),
            Choice::Find => beside().or_else(on_path).ok_or(GuardError::Missing),
        }
    }
}

impl GuardProgram {
    /// The path by which other processes can start it, too.
    pub fn lasting(&self) -> Result<PathBuf, GuardError> {
        let path = self.resolve()?;
        if path != Path::new("/proc/self/exe") {
            return Ok(path);
        }
        let exe = env::current_exe().map_err(|_| GuardError::Missing)?;
        // After an upgrade the kernel names the old file so; the new one is in its place.
        let text = exe.to_string_lossy();
        let path = text.strip_suffix(" (deleted)").map_or(exe.clone(), PathBuf::from);
        is_there(path.clone()).ok_or(GuardError::NotThere { path })
    }
}

fn beside() -> Option<PathBuf> {
    let exe = env::current_exe().ok()?;
    is_there(exe.parent()?.join(NAME))
}

fn on_path() -> Option<PathBuf> {
    find_program(Path::new(NAME), env::var_os("PATH").as_deref()).ok()
}

fn is_there(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}
