//! What was removed and waits to be deleted.
//!
//! A worktree is not there any more as soon as it is renamed. Its files are deleted by a thread that
//! nobody waits for; what is left when the process ends is deleted by the next one that makes or
//! removes a worktree here, or recovers. Any number may delete the same at once.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::delete::delete;
use crate::site::Site;

/// How names of what is to be deleted end.
pub(crate) const GONE: &str = "gone";

/// Moves what is at `path` to where it is deleted some time.
pub(crate) fn put_away(site: &Site, path: &Path) -> io::Result<()> {
    for number in 0u32.. {
        let away = site.gone(number);
        if fs::symlink_metadata(&away).is_ok() {
            continue;
        }
        match fs::rename(path, &away) {
            // Somebody else has put something there meanwhile.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Deletes whatever was put away below `worktrees`. Fails with the first that cannot be deleted,
/// after all others.
pub(crate) fn sweep(worktrees: &Path) -> io::Result<()> {
    let mut failed = Ok(());
    for inside in fs::read_dir(worktrees)? {
        let path = inside?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && path.extension().is_some_and(|kind| kind == GONE) {
            let deleted = delete(&path);
            failed = failed.and(deleted);
        }
    }
    failed
}

/// The thread that deletes, while there is anything to delete.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sweeper(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Whether there is a thread.
    sweeps: bool,
    /// Whether it has to look once more.
    asked: bool,
    /// Whether anybody has ever looked.
    looked: bool,
}

impl Sweeper {
    /// Has everything deleted that was put away, and waits for none of it.
    pub(crate) fn start(&self, worktrees: &Path) {
        let mut state = self.state();
        (state.asked, state.looked) = (true, true);
        if !state.sweeps {
            let (own, worktrees) = (self.clone(), worktrees.to_owned());
            let thread = thread::Builder::new().name("kugetsu-git-sweep".into());
            // Without a thread it is the next one's.
            state.sweeps = thread.spawn(move || own.run(&worktrees)).is_ok();
        }
    }

    /// The same, if nobody has looked yet what other processes have left.
    pub(crate) fn start_once(&self, worktrees: &Path) {
        if !self.state().looked {
            self.start(worktrees);
        }
    }

    fn run(&self, worktrees: &Path) {
        loop {
            {
                let mut state = self.state();
                if !state.asked {
                    state.sweeps = false;
                    return;
                }
                state.asked = false;
            }
            // What cannot be deleted is tried again by the next.
            let _ = sweep(worktrees);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
