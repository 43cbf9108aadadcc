//! `kugetsu man`: the manual pages.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::Cli;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) fn man(dir: &Path, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    let place = setup.around().directory.join(dir);
    let shown = screen.path(&place);
    let told = |error| CliError::io(format_args!("write manual pages to {shown}"), &error);
    fs::create_dir_all(&place).map_err(told)?;
    let mut command = Cli::command();
    // Only a built command knows how it is called from the outermost one.
    command.build();
    let pages = write(&command, &place).map_err(told)?;
    if screen.json {
        return screen.answer(&json!({ "directory": place, "pages": pages }));
    }
    screen.say(format!("{} manual pages are in {shown}", pages.len()))
}

/// Writes the command's page and those of the commands within it, and returns their names.
fn write(command: &clap::Command, place: &Path) -> std::io::Result<Vec<String>> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    let name = page.get_filename();
    fs::write(place.join(&name), text)?;
    let mut pages = vec![name];
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        pages.extend(write(inner, place)?);
    }
    Ok(pages)
}
