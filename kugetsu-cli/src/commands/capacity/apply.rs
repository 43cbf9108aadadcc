//! Writing what is proposed into the settings.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::results::{Proposed, settings_of};
use crate::errors::CliError;
use crate::settings::{self, Origin, Setting};
use crate::setup::Setup;

/// What a measurement may propose. Whatever else stands in a file is not written.
const MAY: [&str; 1] = ["max_concurrent_agents"];

/// Writes what an earlier run has recommended.
pub(super) fn from_file(setup: &Setup, file: &Path) -> Result<(), CliError> {
    setup.must_be_made()?;
    let file = setup.around().directory.join(file);
    let text = crate::paths::read(&file)
        .map_err(|error| CliError::usage(format!("could not read {}: {error}", file.display())))?;
    let proposed = settings_of(&text).map_err(|why| {
        CliError::usage(format!("{} cannot be applied: {why}", file.display()))
            .hint("give the file results_<time>.json of a run that has recommended something")
    })?;
    let applied = apply(setup, &proposed)?;
    if setup.screen().json {
        return setup.screen().answer(&json!({ "applied": applied }));
    }
    tell(setup, &applied)
}

/// What was set, and what it was before.
#[derive(Debug, Serialize)]
pub(super) struct Applied {
    key: &'static str,
    value: String,
    before: Option<String>,
    /// What comes before `config.toml` and says something else.
    hidden_by: Option<String>,
}

/// Sets these settings in `config.toml`. Everything else in that file stays as it is.
pub(super) fn apply(setup: &Setup, proposed: &[Proposed]) -> Result<Vec<Applied>, CliError> {
    let mut values: Vec<(&'static Setting, String)> = Vec::new();
    for Proposed { key, value } in proposed {
        let setting = settings::by_key(key).filter(|setting| MAY.contains(&setting.key));
        let Some(setting) = setting else {
            return Err(CliError::usage(format!("{key:?} is nothing that a measurement sets")));
        };
        let value =
            setting.kind.check(value).map_err(|why| CliError::usage(format!("{key}: {why}")))?;
        values.push((setting, value));
    }
    let before = setup.settings()?.clone();
    settings::write(&setup.paths()?.config(), &values)?;
    let applied = values.into_iter().map(|(setting, value)| {
        let was = before.values().iter().find(|value| value.setting.key == setting.key);
        let hidden_by = was.and_then(|was| match &was.origin {
            origin @ (Origin::Environment(_) | Origin::Flag) => Some(origin.to_string()),
            _ => None,
        });
        let before = was.and_then(|was| was.text.clone());
        Applied { key: setting.key, value, before, hidden_by }
    });
    Ok(applied.collect())
}

/// Says what was set.
pub(super) fn tell(setup: &Setup, applied: &[Applied]) -> Result<(), CliError> {
    let screen = setup.screen();
    let config = screen.path(&setup.paths()?.config());
    for Applied { key, value, before, hidden_by } in applied {
        let was = before.as_deref().unwrap_or("unset");
        screen.say(format!("Wrote {key} = {value} into {config} (it was {was})."))?;
        if let Some(over) = hidden_by {
            screen.remark(format!(
                "warning: {over} comes before config.toml and says {was}; take it away for this to count"
            ));
        }
    }
    Ok(())
}
