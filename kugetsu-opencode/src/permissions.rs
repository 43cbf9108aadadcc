//! The permissions of sessions as opencode's database has them, looked at and put right without a
//! run.
//!
//! A session without rules of its own has whatever opencode's own agent may do, and that *asks*. Every
//! session that this runner makes or resumes is given rules, so this is for those that something else
//! has made, moved in or changed.

use std::ffi::OsStr;
use std::path::PathBuf;

use kugetsu_core::agent::{AgentError, Role};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;
use serde::{Deserialize, Serialize};

use crate::config::Engine;
use crate::rules::{self, Stored};
use crate::runner::OpencodeRunner;
use crate::server::Http;
use crate::sessions::during;
use crate::state::State;
use crate::{fault, quirks};

/// What the permissions of sessions are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Permissions {
    /// opencode's own database.
    pub database: PathBuf,
    /// How many of the sessions are in it.
    pub sessions: usize,
    /// Those of them whose rules are wrong; after mending, those whose rules were.
    pub wrong: Vec<WrongPermission>,
}

/// A session whose rules are wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WrongPermission {
    /// Which.
    pub session: AgentSessionId,
    /// What is wrong.
    pub why: Wrong,
}

/// What can be wrong with a session's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Wrong {
    /// It has none: the column is NULL.
    Missing,
    /// They are no rules of opencode's.
    Unreadable,
    /// They leave this class to be asked, and nobody would answer.
    Asks(String),
    /// They let an agent that only coordinates do this.
    Allows(String),
}

/// A row of opencode's table of sessions.
#[derive(Debug, Deserialize)]
struct Row {
    id: AgentSessionId,
    directory: PathBuf,
    permission: Option<String>,
}

impl OpencodeRunner {
    /// Looks at the rules of these sessions in opencode's own database, and changes nothing. `None`
    /// if there is no database. Sessions that are not in it are not told of.
    ///
    /// Starts a short command of opencode and no server; what earlier processes left behind is not
    /// ended.
    pub async fn examine_permissions(
        &self,
        sessions: &[(AgentSessionId, Role)],
    ) -> Result<Option<Permissions>, AgentError> {
        Ok(self.look(sessions).await?.map(|(told, _)| told))
    }

    /// Gives those of these sessions whose rules are wrong the rules of their role, and tells which
    /// they were. `None` if there is no database.
    ///
    /// opencode's server does it, under [`Engine::Server`], where one can be started; otherwise it is
    /// written into the database by opencode's own command. Doing it twice is doing it once. Whoever
    /// calls holds the slots of the sessions, so that no agent works in them.
    pub async fn mend_permissions(
        &self,
        sessions: &[(AgentSessionId, Role)],
    ) -> Result<Option<Permissions>, AgentError> {
        let Some((told, rows)) = self.look(sessions).await? else { return Ok(None) };
        if told.wrong.is_empty() {
            return Ok(Some(told));
        }
        // Without a server there is the other way.
        let server = match self.config().engine {
            Engine::Server => self.lease().await.ok(),
            Engine::Run => None,
        };
        let mut left = Vec::new();
        for wrong in &told.wrong {
            let Some(row) = rows.iter().find(|row| row.id == wrong.session) else { continue };
            let role = role_of(sessions, &wrong.session);
            // The server cannot read a session whose rules it cannot read.
            let server = server.as_ref().filter(|_| wrong.why != Wrong::Unreadable);
            match server {
                Some(server) if self.set(server.http(), row, role).await.is_ok() => {}
                _ => left.push((row, role)),
            }
        }
        if !left.is_empty() {
            self.write(&left).await?;
        }
        match self.look(sessions).await? {
            Some((now, _)) if !now.wrong.is_empty() => {
                let left: Vec<_> = now.wrong.iter().map(|wrong| wrong.session.as_str()).collect();
                let why = format!("these are as they were: {}", left.join(", "));
                Err(fault::backend("mend the permissions of sessions", Retry::Later, why))
            }
            _ => Ok(Some(told)),
        }
    }

    async fn look(
        &self,
        sessions: &[(AgentSessionId, Role)],
    ) -> Result<Option<(Permissions, Vec<Row>)>, AgentError> {
        let Some(state) = self.there()? else { return Ok(None) };
        let database = state.database();
        if !database.exists() {
            return Ok(None);
        }
        let rows = self.rows(&state, sessions).await?;
        let wrong = rows.iter().filter_map(|row| {
            let why = what_is_wrong(row.permission.as_deref(), role_of(sessions, &row.id))?;
            Some(WrongPermission { session: row.id.clone(), why })
        });
        let told = Permissions { database, sessions: rows.len(), wrong: wrong.collect() };
        Ok(Some((told, rows)))
    }

    /// The runner's directory, if it is there; nothing is made and nothing is ended.
    pub(crate) fn there(&self) -> Result<Option<State>, AgentError> {
        let root = &self.config().state;
        State::there(root)
            .map_err(|error| fault::io(format!("look at its directory {}", root.display()), error))
    }

    async fn rows(
        &self,
        state: &State,
        sessions: &[(AgentSessionId, Role)],
    ) -> Result<Vec<Row>, AgentError> {
        let mut rows = Vec::new();
        let ids: Vec<&str> = sessions.iter().map(|(id, _)| id.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().filter(|id| quirks::is_session_id(id)).collect();
        // An argument may be only so long.
        for some in ids.chunks(500) {
            // The ids consist of letters, digits and underscores.
            let query = format!(
                "select id, directory, permission from session where id in ('{}')",
                some.join("', '")
            );
            let said = self.database_says(state, &query).await?;
            let found: Vec<Row> = match said.trim_ascii() {
                b"" => Vec::new(),
                said => serde_json::from_slice(said).map_err(|error| {
                    fault::backend("read the permissions of sessions", Retry::Never, error)
                })?,
            };
            rows.extend(found);
        }
        Ok(rows)
    }

    /// Has the server give the session the rules of its role.
    async fn set(&self, http: &Http, row: &Row, role: Role) -> Result<(), AgentError> {
        let rules = self.rules_for(http, role, &row.directory).await?;
        let set = http.add_rules(row.id.as_str(), &rules).await;
        set.map_err(during("set what the agent may do"))
    }

    /// Writes the rules of their roles into the database.
    async fn write(&self, rows: &[(&Row, Role)]) -> Result<(), AgentError> {
        let state = self.state().await?;
        // An argument may be only so long.
        for some in rows.chunks(20) {
            let mut cases = String::new();
            for (row, role) in some {
                let rules = serde_json::to_string(&self.plain_rules(*role, &state))
                    .map_err(|error| fault::backend("write rules", Retry::Never, error))?;
                cases += &["when '", row.id.as_str(), "' then '", &rules.replace('\'', "''"), "' "]
                    .concat();
            }
            let ids: Vec<_> = some.iter().map(|(row, _)| row.id.as_str()).collect();
            // The ids consist of letters, digits and underscores.
            let query = format!(
                "update session set permission = case id {cases}end where id in ('{}')",
                ids.join("', '")
            );
            self.database_says(&state, &query).await?;
        }
        Ok(())
    }

    async fn database_says(&self, state: &State, query: &str) -> Result<Vec<u8>, AgentError> {
        let args = ["db", query, "--format", "json"].map(OsStr::new);
        let output = self.command_in(state, args, state.root()).await?;
        if output.code == Some(0) {
            return Ok(output.stdout);
        }
        Err(fault::backend("ask opencode's database", Retry::Later, output.complaint()))
    }
}

fn role_of(sessions: &[(AgentSessionId, Role)], id: &AgentSessionId) -> Role {
    let known = sessions.iter().find(|(known, _)| known == id);
    known.map(|(_, role)| *role).unwrap_or_default()
}

/// What is wrong with rules as the database has them.
fn what_is_wrong(stored: Option<&str>, role: Role) -> Option<Wrong> {
    let Some(stored) = stored.filter(|stored| !stored.trim().is_empty() && *stored != "null")
    else {
        return Some(Wrong::Missing);
    };
    match rules::stored(stored, role) {
        Stored::Right => None,
        Stored::Unreadable => Some(Wrong::Unreadable),
        Stored::Asks(class) => Some(Wrong::Asks(class)),
        Stored::Allows(class) => Some(Wrong::Allows(class)),
    }
}
