//! The environment that every opencode of this runner gets.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::OpencodeConfig;
use crate::quirks;
use crate::state::State;

/// The changes to our own environment for an opencode of this runner.
pub(crate) fn changes(config: &OpencodeConfig, state: &State) -> Vec<(OsString, Option<OsString>)> {
    let mut changes: Vec<(OsString, Option<OsString>)> = Vec::new();
    let set = |(name, value): (&str, &str)| (OsString::from(name), Some(OsString::from(value)));
    changes.extend(quirks::QUIET.map(set));
    changes.extend(config.environment.changes().iter().cloned());
    changes.extend(quirks::SCRUBBED.map(|name| (OsString::from(name), None)));
    if !config.project_config {
        changes.push(set(quirks::NO_PROJECT_CONFIG));
    }
    changes.push((quirks::DATABASE.into(), Some(state.database().into())));
    let rules = permission_object(&own_places(config, state));
    changes.push((quirks::PERMISSION.into(), Some(rules.into())));
    changes
}

/// The places outside of a worktree that opencode itself hands to its agent.
///
/// Not one server's own `TMPDIR` but the place of all, so that a session's rules still fit when
/// another server takes it up.
pub(crate) fn own_places(config: &OpencodeConfig, state: &State) -> Vec<String> {
    let mut places = vec![state.tmp().to_string_lossy().into_owned()];
    let data = config.environment.value_of("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        config.environment.value_of("HOME").map(|home| PathBuf::from(home).join(".local/share"))
    });
    if let Some(data) = data.filter(|data| data.is_absolute()) {
        places.push(data.join("opencode/tool-output").to_string_lossy().into_owned());
    }
    places
}

/// The floor below every session's own rules; it also holds for the sessions of sub-agents.
fn permission_object(own_places: &[String]) -> String {
    let mut outside = serde_json::Map::from_iter([("*".to_owned(), "deny".into())]);
    outside.extend(own_places.iter().map(|place| (format!("{place}/*"), "allow".into())));
    serde_json::json!({
        "question": "deny", "plan_enter": "deny", "plan_exit": "deny", "doom_loop": "deny",
        "external_directory": outside,
    })
    .to_string()
}
