//! The tables `[plugin.NAME]`: backends that are programs.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::fields::{self, Fields};
use crate::errors::CliError;

/// What begins the name of a backend that is a plugin.
pub(crate) const PREFIX: &str = "plugin:";

/// How `config.toml` shows a plugin, commented out.
pub(super) const EXAMPLE: &str = "
# Backends that are programs of yours, by name: worktrees = \"plugin:mine\". docs/plugins.md says more.
#
# [plugin.mine]
# program = [\"/usr/local/bin/my-worktrees\", \"--fast\"]
# timeout_seconds = 300                # for one request
";

/// A plugin as the settings describe it.
#[derive(Debug, Clone)]
pub(crate) struct PluginTable {
    pub(crate) name: String,
    /// The program and its arguments: at least the program.
    pub(crate) program: Vec<String>,
    pub(crate) limit: Option<Duration>,
}

/// Reads the value of `plugin`. `at` says where an offset is.
pub(super) fn read(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<PluginTable>, CliError> {
    fields::tables("plugin", value, at, |name, mut fields| {
        fields.only("a plugin", &["program", "timeout_seconds"])?;
        let program = fields.program()?;
        if program.first().is_some_and(|program| is_relative(program)) {
            // It is started in a directory of its own.
            let why = "the program has to be an absolute path, or a name that is looked up on PATH";
            return Err(fields.wrong(why));
        }
        Ok(PluginTable { name: name.to_owned(), program, limit: limit(&mut fields)? })
    })
}

fn is_relative(program: &str) -> bool {
    let path = Path::new(program);
    !path.is_absolute() && path.components().count() > 1
}

fn limit(fields: &mut Fields<'_>) -> Result<Option<Duration>, CliError> {
    let Some((at, value)) = fields.take("timeout_seconds") else { return Ok(None) };
    let number = value.as_integer().filter(|number| number.radix() == 10);
    let number = number.and_then(|number| number.as_str().replace('_', "").parse().ok());
    match number {
        Some(seconds @ 1..=86_400) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(CliError::config(format!("{at}: it has to be a whole number from 1 to 86400"))),
    }
}
