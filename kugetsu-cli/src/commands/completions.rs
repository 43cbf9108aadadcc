//! `kugetsu completions`: what a shell completes.

use clap::CommandFactory;

use crate::args::Cli;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) fn print(shell: clap_complete::Shell, setup: &Setup) -> Result<(), CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kugetsu", &mut text);
    setup.screen().say(String::from_utf8_lossy(&text).trim_end())
}
