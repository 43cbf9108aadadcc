//! `kugetsu set-pr`: the pull request of an issue.

use crate::args::SetPr;
use crate::errors::CliError;
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn set_pr(args: SetPr, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{args:?} is not there yet")))
}
