//! `kugetsu man`: the manual pages.

use std::path::Path;

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) fn man(dir: &Path, _setup: &Setup) -> Result<(), CliError> {
    Err(CliError::failed(format!("{} is not there yet", dir.display())))
}
