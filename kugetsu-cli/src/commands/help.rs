//! `kugetsu help`: commands, and the subjects that have no command.

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) fn help(what: &[String], _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{what:?} is not there yet")))
}
