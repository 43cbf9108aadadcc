//! `kugetsu demo`
use crate::args::Demo;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn demo(_args: Demo, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed("later"))
}
