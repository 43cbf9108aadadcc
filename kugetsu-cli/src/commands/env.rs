//! `kugetsu env`: the variables that agents get.

use std::collections::BTreeMap;

use serde_json::json;

use crate::args::Env;
use crate::env_files::{self, Variables};
use crate::errors::CliError;
use crate::screen::escape;
use crate::screen::table::Rows;
use crate::setup::Setup;

/// What stands where a secret is.
const MASKED: &str = kugetsu_queue::mask::MASKED;

pub(super) fn env(args: Env, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    match args {
        Env::List => list(setup),
        Env::Show { agent } => show(&agent, setup),
        Env::Set { key, value, agent } => set(&key, value, &agent, setup),
        Env::Get { key, agent, reveal } => get(&key, &agent, reveal, setup),
        Env::Rm { key, agent } => remove(&key, &agent, setup),
    }
}

fn list(setup: &Setup) -> Result<(), CliError> {
    let (screen, paths) = (setup.screen(), setup.paths()?);
    let mut files = Vec::new();
    for agent in env_files::agents(paths)? {
        let count = Variables::of(paths, &agent)?.map_or(0, |all| all.len());
        files.push((env_files::path(paths, &agent), agent, count));
    }
    if screen.json {
        let files: Vec<_> = files
            .iter()
            .map(|(path, agent, count)| json!({ "agent": agent, "path": path, "variables": count }))
            .collect();
        return screen.answer(&json!({ "files": files }));
    }
    screen.say("Environment files")?;
    let mut rows = Rows::new(["AGENT", "VARIABLES", "FILE"]);
    for (path, agent, count) in files {
        rows.row([agent, count.to_string(), screen.path(&path)]);
    }
    rows.show(screen)
}

fn show(agent: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, variables) = (setup.screen(), of(agent, setup)?);
    let shown = |name: &String, value: &String| {
        if env_files::is_secret(name) { MASKED.to_owned() } else { value.clone() }
    };
    if screen.json {
        let all: serde_json::Map<String, serde_json::Value> = variables
            .iter()
            .map(|(name, value)| (name.clone(), shown(name, value).into()))
            .collect();
        return screen.answer(&json!({ "agent": agent, "variables": all }));
    }
    for (name, value) in &variables {
        screen.say(format!("{name}={}", escape::line(&shown(name, value))))?;
    }
    if variables.is_empty() {
        screen.remark(format!("{agent} has no variables"));
    }
    Ok(())
}

fn set(key: &str, value: String, agent: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, paths) = (setup.screen(), setup.paths()?);
    let is_read = must_be_known(agent, setup)?;
    must_be_name(key)?;
    if let Some(why) = env_files::refused(key) {
        return Err(CliError::usage(format!("{key} is not for env files: {why}"))
            .hint("set it where kugetsu itself is started; the setting `inherit_variables` names what agents inherit beside the usual"));
    }
    let (by_input, is_secret) = (value == "-", env_files::is_secret(key));
    if by_input && is_secret && screen.terminals.input {
        return Err(CliError::usage("what is typed here would be seen").hint(format!(
            "`kugetsu env set {key} - < file`, or in bash: \
             read -rs it && printf %s \"$it\" | kugetsu env set {key} -"
        )));
    }
    let value = if by_input { input(setup)? } else { value };
    if by_input && value.is_empty() {
        return Err(CliError::usage(format!("the input is empty, so {key} stays as it was"))
            .hint(format!("`kugetsu env set {key} \"\"` sets it to nothing")));
    }
    if value.contains('\0') {
        return Err(CliError::usage("a variable's value has no NUL in it"));
    }
    env_files::set(paths, agent, key, &value)?;
    if screen.json {
        return screen.answer(&json!({ "agent": agent, "set": key, "masked": is_secret }));
    }
    let shown = if is_secret { MASKED.to_owned() } else { escape::line(&value) };
    screen.say(format!("Set {key}={shown} for {}", whose(agent)))?;
    if !is_read {
        screen.remark("warning: no agent reads that file; `default` is that of all agents");
    }
    if is_secret && kugetsu_queue::Mask::new([&value]).is_empty() {
        screen.remark("warning: it is too short to be masked in what agents say");
    }
    if is_secret && !by_input && screen.terminals.error {
        screen.remark("hint: `-` as the value reads it from the input, so that no other program on this machine sees it");
    }
    told_of_daemon(setup)
}

fn get(key: &str, agent: &str, reveal: bool, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    must_be_name(key)?;
    let variables = of(agent, setup)?;
    let Some(value) = variables.get(key) else { return Err(unset(key, agent)) };
    let shown = if env_files::is_secret(key) && !reveal { MASKED } else { value.as_str() };
    if screen.json {
        let answer = json!({ "agent": agent, "key": key, "value": shown });
        return screen.reveal(&answer.to_string());
    }
    // On a terminal it is shown; anywhere else it is the value itself.
    if screen.terminals.output { screen.reveal(&escape::text(shown)) } else { screen.reveal(shown) }
}

fn remove(key: &str, agent: &str, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    must_be_agent(agent)?;
    must_be_name(key)?;
    if !env_files::remove(setup.paths()?, agent, key)? {
        return Err(unset(key, agent));
    }
    if screen.json {
        return screen.answer(&json!({ "agent": agent, "removed": key }));
    }
    screen.say(format!("Removed {key} from {}", whose(agent)))?;
    told_of_daemon(setup)
}

fn of(agent: &str, setup: &Setup) -> Result<BTreeMap<String, String>, CliError> {
    must_be_agent(agent)?;
    let paths = setup.paths()?;
    match Variables::of(paths, agent)? {
        Some(all) => Ok(all),
        None if matches!(agent, env_files::DEFAULT | env_files::PM) => Ok(BTreeMap::new()),
        None => Err(CliError::failed(format!("there is no env file of {agent}"))
            .hint("`kugetsu env list` shows those that there are")),
    }
}

/// A value that is given in the input, without the line end that people's tools put behind it.
fn input(setup: &Setup) -> Result<String, CliError> {
    let text = setup.screen().read_all()?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A daemon's agents know what was there when it was started.
fn told_of_daemon(setup: &Setup) -> Result<(), CliError> {
    if super::daemon(setup)?.is_some() {
        setup.screen().remark(
            "hint: the daemon that runs goes on with the old variables until `kugetsu queue-daemon restart`",
        );
    }
    Ok(())
}

/// Whose file is set must be somebody's, or be there. Says whether an agent reads it. The word may be a
/// part of a secret, and is not repeated.
fn must_be_known(agent: &str, setup: &Setup) -> Result<bool, CliError> {
    let is_read = matches!(agent, env_files::DEFAULT | env_files::PM);
    if is_read || env_files::agents(setup.paths()?)?.iter().any(|known| known == agent) {
        return Ok(is_read);
    }
    Err(CliError::usage("what stands behind the value names no agent").hint(
        "`default` are all agents, `pm-agent` is the PM; a value of several words is one argument, \
         in quotes",
    ))
}

fn must_be_agent(agent: &str) -> Result<(), CliError> {
    if env_files::is_agent(agent) {
        return Ok(());
    }
    Err(CliError::usage(format!("{agent:?} is no name of an env file"))
        .hint("it is a word of a-z, 0-9, `-` and `_`, such as `default` or `pm-agent`"))
}

fn must_be_name(key: &str) -> Result<(), CliError> {
    if env_files::is_name(key) {
        return Ok(());
    }
    if let Some((name, _)) = key.split_once('=') {
        // What stands behind it may be a secret.
        let why = format!("{name:?} and its value are two words, without the `=`");
        return Err(CliError::usage(why).hint("kugetsu env set NAME value"));
    }
    Err(CliError::usage(format!("{key:?} is no name of a variable"))
        .hint("it is made of letters, digits and `_`, and does not begin with a digit"))
}

fn unset(key: &str, agent: &str) -> CliError {
    CliError::failed(format!("{key} is not set for {}", whose(agent)))
        .hint(format!("`kugetsu env show {agent}` shows what is"))
}

fn whose(agent: &str) -> String {
    if agent == env_files::DEFAULT { "all agents".to_owned() } else { agent.to_owned() }
}
