//! The tables `[plugin.NAME]`: backends that are programs.

use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::sinks::text;
use crate::errors::CliError;

/// What begins the name of a backend that is a plugin.
pub(crate) const PREFIX: &str = "plugin:";

/// How `config.toml` shows a plugin, commented out.
pub(super) const EXAMPLE: &str = "
# Backends that are programs of yours, by name: worktrees = \"plugin:mine\". docs/plugins.md says more.
#
# [plugin.mine]
# command = [\"/usr/local/bin/my-worktrees\", \"--fast\"]
# timeout_seconds = 300                # for one request
";

/// A plugin as the settings describe it.
#[derive(Debug, Clone)]
pub(crate) struct PluginTable {
    pub(crate) name: String,
    /// The program and its arguments: at least the program.
    pub(crate) command: Vec<String>,
    pub(crate) limit: Option<Duration>,
}

/// Reads the value of `plugin`. `at` says where an offset is.
pub(super) fn read(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<PluginTable>, CliError> {
    let offset = value.span().start;
    let DeValue::Table(plugins) = value.into_inner() else {
        let why = "it has to be a table for each plugin, such as [plugin.mine]";
        return Err(CliError::config(format!("{}: plugin: {why}", at(offset))));
    };
    plugins
        .into_iter()
        .map(|(name, value)| {
            let place = at(name.span().start);
            plugin(&name.into_inner(), &place, value, at)
        })
        .collect()
}

fn plugin(
    name: &str,
    place: &str,
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<PluginTable, CliError> {
    let wrong = |why: &str| CliError::config(format!("{place}: plugin.{name}: {why}"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
        return Err(wrong("a name has up to 40 letters, digits, - and _"));
    }
    let DeValue::Table(table) = value.into_inner() else {
        return Err(wrong("it has to be a table"));
    };
    let (mut words, mut limit) = (Vec::new(), None);
    for (key, value) in table {
        let key = key.into_inner();
        let at = format!("{}: plugin.{name}.{key}", at(value.span().start));
        match (&*key, value.into_inner()) {
            ("command", DeValue::Array(values)) => {
                for value in &values {
                    words.push(text(&at, value.get_ref())?);
                }
            }
            ("command", _) => {
                return Err(CliError::config(format!("{at}: it has to be a list: [ ... ]")));
            }
            ("timeout_seconds", value) => limit = Some(seconds(&at, &value)?),
            _ => {
                let hint = "it has command and timeout_seconds";
                return Err(CliError::config(format!("{at}: there is no such field")).hint(hint));
            }
        }
    }
    match words.first() {
        None => Err(wrong("`command` is missing")),
        Some(program) if is_relative(program) => Err(wrong(
            "the program has to be an absolute path, or a name that is looked up on PATH",
        )),
        Some(_) => Ok(PluginTable { name: name.to_owned(), command: words, limit }),
    }
}

fn is_relative(program: &str) -> bool {
    let path = Path::new(program);
    !path.is_absolute() && path.components().count() > 1
}

fn seconds(at: &str, value: &DeValue<'_>) -> Result<Duration, CliError> {
    let number = value.as_integer().filter(|number| number.radix() == 10);
    let number = number.and_then(|number| number.as_str().replace('_', "").parse().ok());
    match number {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err(CliError::config(format!("{at}: it has to be a whole number from 1 to 86400"))),
    }
}
