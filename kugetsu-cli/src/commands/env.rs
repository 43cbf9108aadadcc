//! `kugetsu env`: the variables that agents get.

use crate::args::Env;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::needless_pass_by_value)]
pub(super) fn env(args: Env, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
