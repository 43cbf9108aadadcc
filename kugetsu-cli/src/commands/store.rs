//! `kugetsu store`: where everything is kept.

use crate::args::Store;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn store(args: Store, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
