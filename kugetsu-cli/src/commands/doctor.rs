//! `kugetsu doctor`: what is wrong, and mending it.

use crate::args::Doctor;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn doctor(args: Doctor, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
