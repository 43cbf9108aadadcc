//! Agents that are set up by name, and for whom: the tables `[acp.NAME]`, `[command.NAME]` and
//! `[agent_for]`.

use std::collections::BTreeMap;

use kugetsu_acp::Permissions;
use kugetsu_core::{AgentId, RepoRef};
use toml::Spanned;
use toml::de::DeValue;

use super::fields::{self, Fields};
use crate::errors::CliError;

/// How `config.toml` shows such agents, commented out.
pub(super) const EXAMPLE: &str = "
# Other agents, which `agent` and `--agent` know as \"acp:gemini\" and \"command:mine\".
#
# [acp.gemini]                         # speaks the Agent Client Protocol
# program = [\"gemini\", \"--experimental-acp\"]
# permissions = \"worktree\"             # what it may do of what it asks for: all, worktree, none
# environment = { GEMINI_MODEL = \"gemini-pro\" }
#
# [command.mine]                       # gets the message on its standard input
# program = [\"/usr/local/bin/my-agent\"]
# output = \"text\"                      # or \"json\": an agent event a line
#
# [agent_for.repositories]             # which agent works where, unless a task says another
# \"github.com/acme/widgets\" = \"acp:gemini\"
#
# [agent_for.labels]                   # comes before the repository
# \"small\" = \"command:mine\"
";

/// An agent that is some program.
#[derive(Debug, Clone)]
pub(crate) struct ProgramAgent {
    /// As `agent` names it: `acp:NAME` or `command:NAME`.
    pub(crate) id: AgentId,
    /// The program and its arguments.
    pub(crate) program: Vec<String>,
    /// What its environment has beside that of all agents.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) speaks: Speaks,
}

/// How one talks to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// The Agent Client Protocol.
    Acp {
        /// What it is allowed when it asks.
        permissions: Permissions,
        /// Its forks can be relied on.
        forks: bool,
    },
    /// The message on its input, text or events on its output.
    Command {
        /// Its output is an event a line.
        json: bool,
        /// It goes on with a conversation that it is told.
        resume: bool,
    },
}

/// Which agent works for whom, unless a task says another.
#[derive(Debug, Clone, Default)]
pub(crate) struct AgentFor {
    pub(crate) repositories: BTreeMap<RepoRef, AgentId>,
    labels: BTreeMap<String, AgentId>,
}

impl AgentFor {
    /// The agent of the first of these labels that has one.
    pub(crate) fn of_labels(&self, labels: &[String]) -> Option<&AgentId> {
        labels.iter().find_map(|label| self.labels.get(label))
    }
}

/// Reads the value of `acp`. `at` says where an offset is.
pub(super) fn read_acp(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<ProgramAgent>, CliError> {
    fields::tables("acp", value, at, |name, mut fields| {
        fields.only("an ACP agent", &["program", "environment", "permissions", "forks"])?;
        program_agent("acp", name, &mut fields, |fields| {
            let permissions = match fields.text("permissions")? {
                None => Permissions::default(),
                Some(text) => text.text.parse().map_err(|error| text.wrong(error))?,
            };
            Ok(Speaks::Acp { permissions, forks: fields.flag("forks")? })
        })
    })
}

/// Reads the value of `command`. `at` says where an offset is.
pub(super) fn read_commands(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<ProgramAgent>, CliError> {
    fields::tables("command", value, at, |name, mut fields| {
        fields.only("a command", &["program", "environment", "output", "resume"])?;
        program_agent("command", name, &mut fields, |fields| {
            let json = match fields.text("output")? {
                None => false,
                Some(output) if output.text == "text" => false,
                Some(output) if output.text == "json" => true,
                Some(output) => {
                    return Err(output.wrong(format!("{:?} is none of text, json", output.text)));
                }
            };
            Ok(Speaks::Command { json, resume: fields.flag("resume")? })
        })
    })
}

fn program_agent(
    family: &str,
    name: &str,
    fields: &mut Fields<'_>,
    speaks: impl FnOnce(&mut Fields<'_>) -> Result<Speaks, CliError>,
) -> Result<ProgramAgent, CliError> {
    let id = AgentId::new(format!("{family}:{name}"));
    let id = id.map_err(|error| fields.wrong(&error.to_string()))?;
    let (program, environment) = (fields.program()?, fields.variables("environment")?);
    Ok(ProgramAgent { id, program, environment, speaks: speaks(fields)? })
}

/// Reads the value of `agent_for`. `at` says where an offset is.
pub(super) fn read_agent_for(
    value: Spanned<DeValue<'_>>,
    at: &dyn Fn(usize) -> String,
) -> Result<AgentFor, CliError> {
    let place = at(value.span().start);
    let wrong = |place: &str, why: &str| CliError::config(format!("{place}: agent_for: {why}"));
    let shape = "it has the tables [agent_for.repositories] and [agent_for.labels]";
    let DeValue::Table(tables) = value.into_inner() else { return Err(wrong(&place, shape)) };
    let mut read = AgentFor::default();
    for (name, value) in tables {
        let place = at(name.span().start);
        let DeValue::Table(rows) = value.into_inner() else { return Err(wrong(&place, shape)) };
        for (key, value) in rows {
            let place = at(key.span().start);
            let key = key.into_inner().into_owned();
            let at = format!("{place}: agent_for.{}.{key:?}", name.get_ref());
            let agent = fields::text(&at, value.get_ref())?;
            let agent =
                AgentId::new(agent).map_err(|error| CliError::config(format!("{at}: {error}")))?;
            match name.get_ref().as_ref() {
                "repositories" => {
                    let repository = RepoRef::parse(&key, None);
                    let repository =
                        repository.map_err(|error| CliError::config(format!("{at}: {error}")))?;
                    read.repositories.insert(repository, agent);
                }
                "labels" => {
                    read.labels.insert(key, agent);
                }
                _ => return Err(wrong(&place, shape)),
            }
        }
    }
    Ok(read)
}
