//! Sessions by opencode's commands.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use kugetsu_core::agent::{
    AgentError, AgentSession, Conversation, NewAgentSession, Role, RunRequest,
};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;
use serde::Deserialize;

use super::{model, scratch};
use crate::rules::Rule;
use crate::runner::OpencodeRunner;
use crate::sessions::{Copied, digest, import, is_same, session_id, title};
use crate::state::State;
use crate::{environment, fault, quirks};

/// The session that the request speaks of, in its directory.
pub(crate) async fn session_for(
    runner: &OpencodeRunner,
    request: &RunRequest,
    directory: &Path,
) -> Result<AgentSession, AgentError> {
    let new = NewAgentSession::new(directory, &*request.title).with_role(request.role);
    match &request.conversation {
        Conversation::Fresh => runner.solo_create(&new, directory).await,
        Conversation::Resume(id) => {
            let told = runner.solo_describe(id).await?;
            let told = told.ok_or_else(|| AgentError::UnknownSession { session: id.clone() })?;
            if is_same(&told.directory, directory) {
                return Ok(AgentSession::new(id.clone(), directory, "resume"));
            }
            let found = Some(told.directory);
            Err(AgentError::WrongDirectory { wanted: directory.to_owned(), found })
        }
        Conversation::Fork(from) => runner.solo_fork(from, &new, directory).await,
        _ => Err(AgentError::Unsupported {
            who: fault::WHO.into(),
            operation: "hold such a conversation".into(),
        }),
    }
}

impl OpencodeRunner {
    pub(crate) async fn solo_create(
        &self,
        new: &NewAgentSession,
        directory: &Path,
    ) -> Result<AgentSession, AgentError> {
        self.solo_make(new, directory, new.briefing.as_deref(), "create").await
    }

    /// Copies the session under new ids into the directory; a digest of it if that fails.
    pub(crate) async fn solo_fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
        directory: &Path,
    ) -> Result<AgentSession, AgentError> {
        let origin = self.solo_export(from, directory).await?;
        let rules = self.solo_rules(new.role).await?;
        let copy = origin.renewed(title(new), &rules)?;
        let imported = match import(self, &copy, directory).await {
            Ok(()) => self.solo_verified(copy.id(), directory, "import").await,
            Err(error) => Err(error),
        };
        if matches!(imported, Ok(_) | Err(AgentError::Missing { .. })) {
            return imported;
        }
        self.solo_make(new, directory, Some(&digest(&origin)), "digest").await
    }

    pub(crate) async fn solo_describe(
        &self,
        id: &AgentSessionId,
    ) -> Result<Option<AgentSession>, AgentError> {
        if !quirks::is_session_id(id.as_str()) {
            return Ok(None);
        }
        let ask = |ids| self.solo_directories(ids);
        let directory = self.waiting().directories.get(id.as_str(), |_| true, ask).await?;
        Ok(directory.map(|directory| AgentSession::new(id.clone(), directory, "")))
    }

    /// The directories of these sessions, of those that there are.
    async fn solo_directories(
        &self,
        ids: Vec<String>,
    ) -> Result<HashMap<String, PathBuf>, AgentError> {
        #[derive(Deserialize)]
        struct Row {
            id: String,
            directory: PathBuf,
        }
        let state = self.state().await?;
        // The ids consist of letters, digits and underscores.
        let query =
            format!("select id, directory from session where id in ('{}')", ids.join("', '"));
        let args = ["db", &query, "--format", "json"].map(OsStr::new);
        let output = self.command(args, state.root()).await?;
        if output.code != Some(0) {
            return Err(fault::backend("find a session", Retry::Later, output.complaint()));
        }
        // Nothing found is nothing said.
        let rows: Vec<Row> = match output.stdout.trim_ascii() {
            b"" => Vec::new(),
            said => serde_json::from_slice(said)
                .map_err(|error| fault::backend("find a session", Retry::Never, error))?,
        };
        Ok(rows.into_iter().map(|row| (row.id, row.directory)).collect())
    }

    pub(crate) async fn solo_delete(&self, id: &AgentSessionId) -> Result<(), AgentError> {
        if !quirks::is_session_id(id.as_str()) {
            return Ok(());
        }
        let state = self.state().await?;
        let args = ["session", "delete", id.as_str()].map(OsStr::new);
        let output = self.command(args, state.root()).await?;
        if output.code == Some(0) || self.solo_describe(id).await?.is_none() {
            return Ok(());
        }
        Err(fault::backend("delete a session", Retry::Later, output.complaint()))
    }

    pub(crate) async fn solo_rules(&self, role: Role) -> Result<Vec<Rule>, AgentError> {
        Ok(self.plain_rules(role, &self.state().await?))
    }

    /// The rules of a role where nobody has told what the user's own are. A run approves what the
    /// user has set to ask, so only what is denied has to be said.
    pub(crate) fn plain_rules(&self, role: Role, state: &State) -> Vec<Rule> {
        let mut rules = vec![
            Rule::deny("read", "*.env"),
            Rule::deny("read", "*.env.*"),
            Rule::allow("read", "*.env.example"),
        ];
        rules.extend_from_slice(self.config().rules.of(role));
        let places = environment::own_places(self.config(), state);
        rules.extend(
            places.iter().map(|place| Rule::allow("external_directory", format!("{place}/*"))),
        );
        rules
    }

    async fn solo_make(
        &self,
        new: &NewAgentSession,
        directory: &Path,
        briefing: Option<&str>,
        how: &str,
    ) -> Result<AgentSession, AgentError> {
        let state = self.state().await?;
        let rules = self.solo_rules(new.role).await?;
        let version = self.version().await?;
        let model = match briefing {
            Some(_) => model::name(self, &state).await?,
            None => String::new(),
        };
        let briefing = briefing.map(|text| (text, model.as_str()));
        let made = scratch::session(title(new), &rules, &version, briefing)
            .map_err(|error| fault::io("make an id", error))?;
        import(self, &made, directory).await?;
        self.solo_verified(made.id(), directory, how).await
    }

    async fn solo_verified(
        &self,
        id: &str,
        directory: &Path,
        how: &str,
    ) -> Result<AgentSession, AgentError> {
        let id = session_id(id)?;
        let told = self.solo_describe(&id).await?;
        if told.as_ref().is_some_and(|told| is_same(&told.directory, directory)) {
            return Ok(AgentSession::new(id, directory, how));
        }
        let _ = self.solo_delete(&id).await;
        let found = told.map(|told| told.directory);
        Err(AgentError::WrongDirectory { wanted: directory.to_owned(), found })
    }

    async fn solo_export(
        &self,
        id: &AgentSessionId,
        directory: &Path,
    ) -> Result<Copied, AgentError> {
        let unknown = || AgentError::UnknownSession { session: id.clone() };
        if !quirks::is_session_id(id.as_str()) {
            return Err(unknown());
        }
        let ask = |_| async {
            let output = self.command(["export", id.as_str()].map(OsStr::new), directory).await?;
            if output.code == Some(0) {
                let copied = Copied::parse(&output.stdout)
                    .map_err(|error| fault::backend("read an export", Retry::Later, error))?;
                return Ok(HashMap::from([(id.to_string(), copied)]));
            }
            if String::from_utf8_lossy(&output.stderr).contains(quirks::NO_SESSION) {
                return Ok(HashMap::new());
            }
            Err(fault::backend("export a session", Retry::Later, output.complaint()))
        };
        let is_same = |other: &str| other == id.as_str();
        self.waiting().exports.get(id.as_str(), is_same, ask).await?.ok_or_else(unknown)
    }
}
