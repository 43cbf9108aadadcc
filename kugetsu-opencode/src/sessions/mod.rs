//! opencode's sessions outside of a run.

mod copy;
mod digest;
mod fork;
mod import;
mod other;

pub(crate) use copy::Copied;
pub(crate) use digest::digest;
pub(crate) use import::import;
pub use other::OtherDatabase;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu_core::agent::{AgentError, AgentSession, AgentSessions, NewAgentSession, Role};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;
use tokio::time::Instant;

use crate::config::Engine;
use crate::rules::{self, Rule};
use crate::runner::OpencodeRunner;
use crate::server::{Http, HttpError, Lease, Prompt, TextPart, ToldSession};
use crate::{environment, fault, ids, quirks, untrusted};

#[async_trait]
impl AgentSessions for OpencodeRunner {
    async fn create(&self, new: &NewAgentSession) -> Result<AgentSession, AgentError> {
        let directory = self.trusted(&new.directory)?;
        if self.config().engine == Engine::Run {
            return self.solo_create(new, &directory).await;
        }
        self.create_in(&self.lease().await?, new, &directory).await
    }

    async fn fork(
        &self,
        from: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<AgentSession, AgentError> {
        let directory = self.trusted(&new.directory)?;
        if self.config().engine == Engine::Run {
            return self.solo_fork(from, new, &directory).await;
        }
        self.fork_into(&self.lease().await?, from, new, &directory).await
    }

    async fn describe(&self, id: &AgentSessionId) -> Result<Option<AgentSession>, AgentError> {
        if self.config().engine == Engine::Run {
            return self.solo_describe(id).await;
        }
        if !quirks::is_session_id(id.as_str()) {
            return Ok(None);
        }
        let server = self.lease().await?;
        let told = server.http().session(id.as_str()).await.map_err(during("find a session"))?;
        Ok(told.map(|told| AgentSession::new(id.clone(), told.directory, "")))
    }

    async fn delete(&self, id: &AgentSessionId) -> Result<(), AgentError> {
        if self.config().engine == Engine::Run {
            return self.solo_delete(id).await;
        }
        if !quirks::is_session_id(id.as_str()) {
            return Ok(());
        }
        let server = self.lease().await?;
        let Some(told) =
            server.http().session(id.as_str()).await.map_err(during("find a session"))?
        else {
            return Ok(());
        };
        // A session that is deleted while it is busy stays busy for ever. (1.18.33)
        abort(server.http(), id.as_str(), &told.directory, self.config().limits.stop).await?;
        server.http().delete_session(id.as_str()).await.map_err(during("delete a session"))
    }
}

impl OpencodeRunner {
    /// Makes a session in the directory, verified, with its rules and its briefing.
    pub(crate) async fn create_in(
        &self,
        server: &Lease,
        new: &NewAgentSession,
        directory: &Path,
    ) -> Result<AgentSession, AgentError> {
        let http = server.http();
        let rules = self.rules_for(http, new.role, directory).await?;
        let told = http
            .create_session(directory, title(new), &rules)
            .await
            .map_err(during("make a session"))?;
        let session = verified(http, &told.id, directory, "create").await?;
        if let Some(briefing) = &new.briefing
            && let Err(error) = put(http, &told.id, briefing).await
        {
            let _ = http.delete_session(&told.id).await;
            return Err(error);
        }
        Ok(session)
    }

    /// The session, if it works in the directory, with the rules that hold now.
    pub(crate) async fn resume_in(
        &self,
        server: &Lease,
        id: &AgentSessionId,
        role: Role,
        directory: &Path,
    ) -> Result<AgentSession, AgentError> {
        let http = server.http();
        let told = known(http, id).await?;
        if !is_same(&told.directory, directory) {
            return Err(AgentError::WrongDirectory {
                wanted: directory.to_owned(),
                found: Some(told.directory),
            });
        }
        let rules = self.rules_for(http, role, directory).await?;
        // Each change is appended to what is there. (1.18.33)
        if !told.permission.is_some_and(|stored| stored.ends_with(&rules)) {
            http.add_rules(id.as_str(), &rules)
                .await
                .map_err(during("set what the agent may do"))?;
        }
        Ok(AgentSession::new(id.clone(), directory, "resume"))
    }

    /// Every rule of a session of this role in this directory; none of them asks.
    pub(crate) async fn rules_for(
        &self,
        http: &Http,
        role: Role,
        directory: &Path,
    ) -> Result<Vec<Rule>, AgentError> {
        let told = http
            .agent_rules(directory, quirks::DEFAULT_AGENT)
            .await
            .map_err(during("read what the agent may do"))?;
        let state = self.state().await?;
        let places = environment::own_places(self.config(), &state);
        Ok(rules::decided(&told, self.config().rules.of(role), &places))
    }
}

/// Aborts whatever the session does and returns when the server says that it is idle.
pub(crate) async fn abort(
    http: &Http,
    id: &str,
    directory: &Path,
    at_most: Duration,
) -> Result<(), AgentError> {
    let until = Instant::now() + at_most;
    let mut pause = Duration::from_millis(20);
    loop {
        http.abort(id).await.map_err(during("abort a session"))?;
        let busy = http.status(directory).await.map_err(during("ask what a session does"))?;
        if !busy.contains_key(id) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(AgentError::Died {
                who: fault::WHO.into(),
                detail: format!("its session {id} does not stop"),
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// The session as the server has it, if its directory is the one that is wanted; else it is
/// deleted.
pub(crate) async fn verified(
    http: &Http,
    id: &str,
    directory: &Path,
    how: &str,
) -> Result<AgentSession, AgentError> {
    let told = http.session(id).await.map_err(during("find a session"))?;
    match told {
        Some(told) if told.id == id && is_same(&told.directory, directory) => {
            Ok(AgentSession::new(session_id(id)?, directory, how))
        }
        other => {
            let _ = http.delete_session(id).await;
            Err(AgentError::WrongDirectory {
                wanted: directory.to_owned(),
                found: other.map(|told| told.directory),
            })
        }
    }
}

/// The session as the server has it.
pub(crate) async fn known(http: &Http, id: &AgentSessionId) -> Result<ToldSession, AgentError> {
    let unknown = || AgentError::UnknownSession { session: id.clone() };
    if !quirks::is_session_id(id.as_str()) {
        return Err(unknown());
    }
    http.session(id.as_str()).await.map_err(during("find a session"))?.ok_or_else(unknown)
}

/// Puts words into a session; the model is not asked.
pub(crate) async fn put(http: &Http, id: &str, text: &str) -> Result<(), AgentError> {
    let message = ids::message().map_err(|error| fault::io("make an id", error))?;
    let parts = [TextPart::new(text)];
    let prompt = Prompt { message: &message, model: None, no_reply: true, parts };
    http.put_message(id, &prompt).await.map_err(during("put a message into a session"))
}

impl OpencodeRunner {
    /// The directory by its real name, if an agent may work in it: nothing of its own would run
    /// inside opencode, or its repository is trusted.
    pub(crate) fn trusted(&self, directory: &Path) -> Result<PathBuf, AgentError> {
        let directory = real(directory)?;
        if !self.config().project_config {
            let home = self.config().environment.value_of("HOME").map(PathBuf::from);
            untrusted::refuse_plugins(&directory, home.as_deref())?;
        }
        Ok(directory)
    }
}

/// The directory by its real name, which is the one that opencode knows it by.
pub(crate) fn real(directory: &Path) -> Result<PathBuf, AgentError> {
    let missing = || AgentError::WrongDirectory { wanted: directory.to_owned(), found: None };
    let real = directory.canonicalize().map_err(|_| missing())?;
    if directory.is_absolute() && real.is_dir() { Ok(real) } else { Err(missing()) }
}

pub(crate) fn is_same(told: &Path, wanted: &Path) -> bool {
    told == wanted || told.canonicalize().is_ok_and(|told| told == wanted)
}

/// A session without a title costs a question to the model. (1.18.33)
pub(crate) fn title(new: &NewAgentSession) -> &str {
    if new.title.trim().is_empty() { "kugetsu" } else { &new.title }
}

pub(crate) fn session_id(id: &str) -> Result<AgentSessionId, AgentError> {
    AgentSessionId::new(id)
        .map_err(|error| fault::backend("read a session id", Retry::Never, error))
}

pub(crate) fn during(operation: &'static str) -> impl Fn(HttpError) -> AgentError {
    move |error| error.during(operation)
}
