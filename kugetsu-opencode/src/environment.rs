//! The environment that every opencode of this runner gets.

use std::path::{Path, PathBuf};

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use kugetsu_guard::{Environment, Plan, shell};
use serde_json::{Value, json};

use crate::config::OpencodeConfig;
use crate::state::State;
use crate::{fault, quirks};

/// A tree of this runner's, whose environment is still to be said.
pub(crate) fn plan(what: &str, config: &OpencodeConfig, program: &Path, directory: &Path) -> Plan {
    let plan = Plan::new(what, program, directory)
        .with_guard(config.guard.clone())
        .with_grace(config.limits.grace);
    match &config.label {
        Some(label) => plan.with_label(label),
        None => plan,
    }
}

/// The changes to our own environment for an opencode of this runner.
pub(crate) fn changes(config: &OpencodeConfig, state: &State) -> Result<Environment, AgentError> {
    let mut changes: Environment = quirks::QUIET.into_iter().collect();
    changes = changes.then(&config.environment);
    changes = quirks::SCRUBBED.into_iter().fold(changes, Environment::without);
    if !config.project_config {
        let (name, value) = quirks::NO_PROJECT_CONFIG;
        changes = changes.with(name, value);
    }
    let rules = permission_object(&own_places(config, state));
    changes = changes.with(quirks::DATABASE, state.database()).with(quirks::PERMISSION, rules);
    let shell = narrow_shell(config, state)?;
    if let (Some(shell), Some(program)) = (&shell, &config.narrow_shell) {
        changes = changes.with("SHELL", shell).with(shell::PROGRAM, program);
    }
    Ok(match settings(config, shell.as_deref())? {
        Some(settings) => changes.with(quirks::SETTINGS, settings),
        None => changes,
    })
}

/// The path at which our own shell is found, if agents are to have no other.
fn narrow_shell(config: &OpencodeConfig, state: &State) -> Result<Option<PathBuf>, AgentError> {
    if config.narrow_shell.is_none() {
        return Ok(None);
    }
    let program = config.guard.lasting().map_err(|error| AgentError::Missing {
        program: "the agents' own shell".into(),
        why: error.to_string(),
    })?;
    let link = state.shell(&program).map_err(|error| fault::io("make its own shell", error))?;
    Ok(Some(link))
}

/// What we set in opencode's settings, beside what the user has set in the same way.
fn settings(config: &OpencodeConfig, shell: Option<&Path>) -> Result<Option<String>, AgentError> {
    if config.tools.is_empty() && shell.is_none() {
        return Ok(None);
    }
    let users = config.environment.value_of(quirks::SETTINGS).filter(|text| !text.is_empty());
    let users = users.map(|text| text.to_string_lossy().into_owned());
    let mut all: serde_json::Map<String, Value> = match &users {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            let what = format!("read {} as a JSON object", quirks::SETTINGS);
            fault::backend(what, Retry::Never, error)
        })?,
        None => serde_json::Map::new(),
    };
    for (name, server) in &config.tools {
        let told = json!({ "type": "local", "command": server.command, "enabled": true });
        let servers = all.entry("mcp").or_insert_with(|| json!({}));
        if let Some(servers) = servers.as_object_mut() {
            servers.insert(name.clone(), told);
        }
    }
    if let Some(shell) = shell {
        all.insert("shell".into(), json!(shell));
    }
    Ok(Some(Value::Object(all).to_string()))
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
