//! `kugetsu queue-daemon`: the process that carries out what is queued, and how it is started and
//! stopped.

mod control;
mod lock;
mod log;
mod notices;
mod run;

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) use control::control;
pub(super) use run::run;

/// Whether the daemon of this directory runs.
pub(super) fn runs(setup: &Setup) -> Result<bool, CliError> {
    Ok(lock::holder(setup.paths()?)?.is_some())
}
