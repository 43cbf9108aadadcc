//! `kugetsu queue-daemon`: the process that carries out what is queued, and how it is started and
//! stopped.

mod control;
mod drain;
mod install;
mod lock;
mod log;
mod notices;
mod run;
mod service;
mod unit;

use kugetsu_queue::gates::Server;

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) use control::{control, status};
use lock::Lock;
pub(super) use run::run;

/// The daemon of this directory, if it runs.
pub(crate) fn daemon(setup: &Setup) -> Result<Option<Server>, CliError> {
    let paths = setup.paths()?;
    let Some(pid) = lock::daemon(paths)? else { return Ok(None) };
    let pid = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or_default();
    Ok(Some(Server::new(pid, lock::since(paths, pid))))
}

/// Takes the daemon's place, so that none starts meanwhile. `what` is the command that does so.
pub(super) fn keep_out(what: &str, setup: &Setup) -> Result<Lock, CliError> {
    let paths = setup.paths()?;
    match Lock::keep(paths, what)? {
        Some(lock) => Ok(lock),
        None => Err(lock::taken(paths)?),
    }
}

/// Whether this is the daemon's process, and not one that has taken its place or ours.
pub(super) fn is_daemon(setup: &Setup, pid: u32) -> Result<bool, CliError> {
    Ok(daemon(setup)?.is_some_and(|daemon| daemon.pid == pid))
}

/// Whether the daemon of this directory runs.
pub(super) fn runs(setup: &Setup) -> Result<bool, CliError> {
    Ok(lock::daemon(setup.paths()?)?.is_some())
}
