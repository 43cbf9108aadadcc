//! Forking a session into another directory: the ways there are, tried in turn.
//!
//! opencode's own fork stays in the directory of its origin, and a session can be moved only within
//! one project, so there is no single way that always works. Whichever is taken, the directory of
//! what comes out is looked up before anybody speaks to it. (1.18.33)

use std::path::Path;

use kugetsu_core::agent::{AgentError, AgentSession, NewAgentSession};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;

use super::copy::Copied;
use super::{during, known, put, title, verified};
use crate::fault;
use crate::rules::Rule;
use crate::runner::OpencodeRunner;
use crate::server::{Http, HttpError, Lease};

/// Why a way did not lead there.
#[derive(Debug)]
enum Astray {
    /// It cannot, here; another one may.
    Unfit(String),
    /// Nothing would work now.
    Fault(AgentError),
}

impl OpencodeRunner {
    /// Makes a session in the directory that knows what `from` knows.
    pub(crate) async fn fork_into(
        &self,
        server: &Lease,
        from: &AgentSessionId,
        new: &NewAgentSession,
        directory: &Path,
    ) -> Result<AgentSession, AgentError> {
        let http = server.http();
        let origin = known(http, from).await?;
        let rules = self.rules_for(http, new.role, directory).await?;
        let mut reasons = Vec::new();

        match fork_and_move(http, from, new, directory, &rules).await {
            Ok(session) => return Ok(session),
            Err(Astray::Unfit(why)) => reasons.push(why),
            Err(Astray::Fault(error)) => return Err(error),
        }
        let copied = Copied::read(http, &origin.id).await?;
        if let Some(words) = copied.only_words() {
            match retell(http, &words, new, directory, &rules).await {
                Ok(session) => return Ok(session),
                Err(Astray::Unfit(why)) => reasons.push(why),
                Err(Astray::Fault(error)) => return Err(error),
            }
        }
        match self.import_copy(http, &copied, new, directory, &rules).await {
            Ok(session) => return Ok(session),
            Err(error @ AgentError::Missing { .. }) => return Err(error),
            Err(error) => reasons.push(error.to_string()),
        }
        let digest = super::digest(&copied);
        let told = http
            .create_session(directory, title(new), &rules)
            .await
            .map_err(during("make a session"))?;
        let session = verified(http, &told.id, directory, "digest").await?;
        if let Err(error) = put(http, &told.id, &digest).await {
            let _ = http.delete_session(&told.id).await;
            let reasons = reasons.join("; ");
            return Err(fault::backend(format!("fork a session ({reasons})"), Retry::Later, error));
        }
        Ok(session)
    }

    async fn import_copy(
        &self,
        http: &Http,
        copied: &Copied,
        new: &NewAgentSession,
        directory: &Path,
        rules: &[Rule],
    ) -> Result<AgentSession, AgentError> {
        let copy = copied.renewed(title(new), rules)?;
        super::import(self, &copy, directory).await?;
        verified(http, copy.id(), directory, "import").await
    }
}

async fn fork_and_move(
    http: &Http,
    from: &AgentSessionId,
    new: &NewAgentSession,
    directory: &Path,
    rules: &[Rule],
) -> Result<AgentSession, Astray> {
    let fork = http.fork(from.as_str()).await.map_err(astray("fork a session"))?;
    let finished = async {
        http.move_session(&fork.id, directory).await.map_err(astray("move a session"))?;
        // A fork has neither rules nor a title of its own. (1.18.33)
        http.add_rules(&fork.id, rules).await.map_err(astray("set what the agent may do"))?;
        http.rename(&fork.id, title(new)).await.map_err(astray("name a session"))
    };
    if let Err(why) = finished.await {
        let _ = http.delete_session(&fork.id).await;
        return Err(why);
    }
    verified(http, &fork.id, directory, "fork+move").await.map_err(|error| match error {
        AgentError::WrongDirectory { .. } => Astray::Unfit(error.to_string()),
        error => Astray::Fault(error),
    })
}

/// Says the same words again, where words are all there is.
async fn retell(
    http: &Http,
    words: &[&str],
    new: &NewAgentSession,
    directory: &Path,
    rules: &[Rule],
) -> Result<AgentSession, Astray> {
    let told = http
        .create_session(directory, title(new), rules)
        .await
        .map_err(astray("make a session"))?;
    for text in words {
        if let Err(error) = put(http, &told.id, text).await {
            let _ = http.delete_session(&told.id).await;
            return Err(Astray::Unfit(error.to_string()));
        }
    }
    verified(http, &told.id, directory, "retell")
        .await
        .map_err(|error| Astray::Unfit(error.to_string()))
}

fn astray(operation: &'static str) -> impl Fn(HttpError) -> Astray {
    move |error| match &error {
        HttpError::Refused { .. } | HttpError::Unreadable(_) => {
            Astray::Unfit(error.during(operation).to_string())
        }
        HttpError::Unanswered(_) => Astray::Fault(error.during(operation)),
    }
}
