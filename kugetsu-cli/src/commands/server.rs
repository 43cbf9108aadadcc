//! `kugetsu server`: the git servers.

use crate::args::Server;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn server(args: Server, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
