//! `kugetsu context`: what is remembered of an issue.

use crate::args::Context;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn context(args: Context, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
