//! The programs that kugetsu needs.

use std::process::Stdio;
use std::time::Duration;

use kugetsu_core::AgentError;
use tokio::process::Command;

use super::super::bounded::within;
use super::super::finding::{
    AGENT_MISSING, AGENT_UNFIT, CHECK_HUNG, Finding, GIT_MISSING, GIT_OLD,
};
use super::{Examination, Found};
use crate::screen::escape;
use crate::settings::{ProgramAgent, Settings};

/// How long a program may take to say which version it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// The oldest git that has every option which is used.
const OLDEST_GIT: (u32, u32) = (2, 31);

pub(in super::super) async fn check(of: &Examination<'_>) -> Found {
    let mut found: Vec<Finding> = git(of).await.into_iter().collect();
    found.extend(agent(of).await);
    found.extend(program_agents(of));
    Ok(found)
}

async fn git(of: &Examination<'_>) -> Option<Finding> {
    const MEND: &str = "install git 2.31 or newer";
    let mut command = Command::new("git");
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    if let Some(variables) = of.setup.variables_of_others() {
        command.env_clear().envs(variables);
        if let Some(program) = on_path(of, "git") {
            command = with_program(program, variables);
        } else {
            return Some(Finding::new(GIT_MISSING, "git is not on PATH", MEND));
        }
    }
    let said = match within(PATIENCE, command.output()).await {
        Ok(Ok(said)) => said,
        Ok(Err(error)) => {
            return Some(Finding::new(GIT_MISSING, format!("git does not start: {error}"), MEND));
        }
        Err(_) => {
            let text = "git does not say which version it is";
            return Some(Finding::new(CHECK_HUNG, text, "see what `git --version` does"));
        }
    };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    match version(&said) {
        Some(version) if version >= OLDEST_GIT => None,
        Some(_) => {
            let text = format!("{} is too old", escape::line(said.trim()));
            Some(Finding::new(GIT_OLD, text, MEND))
        }
        None => {
            let said = escape::cut(&escape::line(said.trim()), 60);
            let text = format!("git told {said:?} as its version");
            Some(Finding::new(GIT_MISSING, text, MEND))
        }
    }
}

/// The first two numbers of `git version 2.47.3`.
fn version(said: &str) -> Option<(u32, u32)> {
    let version = said.trim().strip_prefix("git version ")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn on_path(of: &Examination<'_>, name: &str) -> Option<std::path::PathBuf> {
    let path = of.setup.around().variable("PATH")?;
    std::env::split_paths(path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

fn with_program(
    program: std::path::PathBuf,
    variables: &std::collections::BTreeMap<std::ffi::OsString, std::ffi::OsString>,
) -> Command {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.env_clear().envs(variables);
    command
}

/// Agents that are programs, whose programs are not there. None of them is started.
fn program_agents(of: &Examination<'_>) -> Vec<Finding> {
    let missing = |agent: &&ProgramAgent| {
        let program = agent.program.first().map(String::as_str).unwrap_or_default();
        let there = if program.contains('/') {
            of.setup.around().directory.join(program).is_file()
        } else {
            on_path(of, program).is_some()
        };
        !there
    };
    let told = |agent: &ProgramAgent| {
        let program = agent.program.first().map(String::as_str).unwrap_or_default();
        let text = format!("{}: there is no program {program:?}", agent.id);
        Finding::new(AGENT_MISSING, text, "install it, or mend its table in config.toml")
    };
    let settings = of.setup.settings();
    settings.map(Settings::agents).unwrap_or_default().iter().filter(missing).map(told).collect()
}

async fn agent(of: &Examination<'_>) -> Option<Finding> {
    // What it would say of itself costs its start.
    if let Ok(settings) = of.setup.settings()
        && let Some(name) = settings.get("agent")
        && settings.agents().iter().any(|agent| agent.id.as_str() == name)
    {
        return None;
    }
    let agent = match of.setup.agent() {
        Ok(agent) => agent,
        Err(error) => {
            let mend = error.advice().unwrap_or("see the setting `agent`").to_owned();
            return Some(Finding::new(AGENT_UNFIT, error.message(), mend));
        }
    };
    let mend = "npm install -g opencode-ai, or set `opencode_program` to where it is";
    match within(PATIENCE, agent.probe()).await {
        Ok(Ok(info)) => {
            let trouble = info.trouble?;
            let text = format!("{}: {trouble}", escape::line(&info.program));
            Some(Finding::new(AGENT_UNFIT, text, "opencode upgrade"))
        }
        Ok(Err(error @ AgentError::Missing { .. })) => {
            Some(Finding::new(AGENT_MISSING, error.to_string(), mend))
        }
        Ok(Err(error)) => Some(Finding::new(AGENT_UNFIT, error.to_string(), mend)),
        Err(_) => {
            let text = "the agent's program does not say which version it is";
            Some(Finding::new(CHECK_HUNG, text, "see what `opencode --version` does"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn git_says_its_version_in_more_than_one_way() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("git version 2.45.windows.1"), Some((2, 45)));
        assert_eq!(version("hub 1.2"), None);
    }
}
