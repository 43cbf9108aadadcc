//! `kugetsu doctor --fix-permissions`: every session of opencode's has rules.

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn fix(_setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed("not there yet"))
}
