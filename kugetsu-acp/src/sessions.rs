//! The session that a run is in, verified to work in the run's directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use kugetsu_core::agent::{AgentError, AgentSession, Conversation, RunRequest};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;

use crate::fault::Who;
use crate::process::Process;
use crate::records::{Record, Records};
use crate::run::Ready;
use crate::runner::AcpRunner;
use crate::talk::{Abilities, Fault, Used};

/// What is known of the session that a request speaks of, before an agent is started for it.
pub(crate) struct Before {
    /// The one to be resumed, locked.
    resumed: Option<(AgentSessionId, File)>,
    /// What the runner remembers of the one to be resumed or forked.
    record: Option<Record>,
}

impl Before {
    /// The lock that the agent's tree is to hold, too.
    pub(crate) fn lock(&self) -> Option<&File> {
        self.resumed.as_ref().map(|(_, lock)| lock)
    }
}

/// Looks up what the runner remembers, and refuses what cannot be.
pub(crate) async fn before(
    runner: &AcpRunner,
    records: &Records,
    request: &RunRequest,
    directory: &Path,
) -> Result<Before, AgentError> {
    let who = runner.who();
    let find = |id: &AgentSessionId| {
        records.find(id.as_str()).map_err(|error| who.io("read what it knows of a session", error))
    };
    match &request.conversation {
        Conversation::Resume(id) => {
            let record = find(id)?;
            if let Some(record) = &record
                && !is_same(&record.directory, directory)
            {
                return Err(wrong(directory, Some(record.directory.clone())));
            }
            let lock = lock(runner, records, id.as_str()).await?;
            Ok(Before { resumed: Some((id.clone(), lock)), record })
        }
        Conversation::Fork(from) => Ok(Before { resumed: None, record: find(from)? }),
        _ => Ok(Before { resumed: None, record: None }),
    }
}

/// Has the agent make or take up the session.
pub(crate) async fn ready(
    runner: &AcpRunner,
    records: &Records,
    mut process: Process,
    before: Before,
    request: &RunRequest,
    directory: &Path,
) -> Result<Ready, AgentError> {
    let who = runner.who().clone();
    let Before { resumed, record } = before;
    let known = record.is_some();
    let (id, lock, used, how) = match (&request.conversation, resumed) {
        (Conversation::Resume(_), Some((id, lock))) => {
            if let Err(refused) = resume(&mut process, &id, known, directory).await {
                return Err(refused.told(process, &who).await);
            }
            let used = record.map(|record| record.used).unwrap_or_default();
            (id, lock, used, "resume")
        }
        (Conversation::Fork(from), _) => match fork(&mut process, from, known, directory).await {
            Ok(made) => {
                let (id, lock) = taken(runner, records, &made).await?;
                let used = record.map(|record| record.used).unwrap_or_default();
                (id, lock, used, "fork")
            }
            Err(refused) => return Err(refused.told(process, &who).await),
        },
        (Conversation::Fresh, _) => match process.talk.new_session(directory).await {
            Ok(made) => {
                let (id, lock) = taken(runner, records, &made).await?;
                (id, lock, Used::default(), "new")
            }
            Err(fault) => return Err(process.failed("make a session", fault).await),
        },
        _ => return Err(who.unsupported("hold such a conversation")),
    };
    let record = Record { session: id.to_string(), directory: directory.to_owned(), used };
    // Before anything is said in it: a session that nobody knows of could not be resumed.
    records.put(&record).map_err(|error| who.io("write down its session", error))?;
    Ok(Ready { process, session: AgentSession::new(id, directory, how), record, lock })
}

/// Why a session cannot be had.
enum Refused {
    Unknown(AgentSessionId),
    Wrong(PathBuf, Option<PathBuf>),
    Fault(&'static str, Fault),
}

impl Refused {
    async fn told(self, process: Process, who: &Who) -> AgentError {
        match self {
            Self::Fault(operation, fault) => return process.failed(operation, fault).await,
            Self::Unknown(session) => {
                process.dismiss().await;
                AgentError::UnknownSession { session }
            }
            Self::Wrong(wanted, found) => {
                process.dismiss().await;
                let _ = who;
                AgentError::WrongDirectory { wanted, found }
            }
        }
    }
}

async fn resume(
    process: &mut Process,
    id: &AgentSessionId,
    known: bool,
    directory: &Path,
) -> Result<(), Refused> {
    let Process { talk, can, .. } = process;
    // Asked before the session is taken up: some then tell the directory that they were given.
    let listed = listed(talk, can, id.as_str()).await?;
    if let Some(other) = listed.iter().find(|listed| !is_same(listed, directory)) {
        return Err(Refused::Wrong(directory.to_owned(), Some(other.clone())));
    }
    if !known && listed.is_empty() {
        return Err(Refused::Unknown(id.clone()));
    }
    let taken = if can.resume {
        talk.resume(id.as_str(), directory).await
    } else {
        talk.load(id.as_str(), directory).await
    };
    taken.map_err(|fault| match fault {
        // Who lists its sessions, and not this one, has lost it.
        Fault::Refused(_) if can.list && listed.is_empty() => Refused::Unknown(id.clone()),
        Fault::Refused(complaint) if complaint.is_not_found() => Refused::Unknown(id.clone()),
        fault => Refused::Fault("take up a session", fault),
    })
}

async fn fork(
    process: &mut Process,
    from: &AgentSessionId,
    known: bool,
    directory: &Path,
) -> Result<String, Refused> {
    let Process { talk, can, .. } = process;
    let origin = listed(talk, can, from.as_str()).await?;
    if !known && origin.is_empty() {
        return Err(Refused::Unknown(from.clone()));
    }
    let made = talk.fork(from.as_str(), directory).await.map_err(|fault| match fault {
        Fault::Refused(_) if origin.is_empty() => Refused::Unknown(from.clone()),
        Fault::Refused(complaint) if complaint.is_not_found() => Refused::Unknown(from.clone()),
        fault => Refused::Fault("fork a session", fault),
    })?;
    let listed = listed(talk, can, &made).await?;
    let astray = listed.iter().find(|listed| !is_same(listed, directory)).cloned();
    if listed.is_empty() || astray.is_some() || made == from.as_str() {
        talk.discard(&made, can).await;
        return Err(Refused::Wrong(directory.to_owned(), astray));
    }
    Ok(made)
}

/// The directories in which the agent says that the session works.
async fn listed(
    talk: &mut crate::talk::Talk,
    can: &Abilities,
    session: &str,
) -> Result<Vec<PathBuf>, Refused> {
    if !can.list {
        return Ok(Vec::new());
    }
    let found = talk.directories(session).await;
    Ok(found.map_err(|fault| Refused::Fault("list its sessions", fault))?.into_iter().collect())
}

/// A session that was just made, locked.
async fn taken(
    runner: &AcpRunner,
    records: &Records,
    made: &str,
) -> Result<(AgentSessionId, File), AgentError> {
    let id = AgentSessionId::new(made)
        .map_err(|error| runner.who().backend("read a session id", Retry::Never, error))?;
    let lock = lock(runner, records, made).await?;
    Ok((id, lock))
}

async fn lock(runner: &AcpRunner, records: &Records, session: &str) -> Result<File, AgentError> {
    let who = runner.who();
    let patience = runner.config().limits.stop + runner.config().limits.grace;
    let lock = records.lock(session, patience).await;
    lock.map_err(|error| who.io("lock a session", error))?.ok_or_else(|| {
        let why = format!("the session {session} is busy with another");
        who.backend("start a run", Retry::Later, why)
    })
}

fn wrong(wanted: &Path, found: Option<PathBuf>) -> AgentError {
    AgentError::WrongDirectory { wanted: wanted.to_owned(), found }
}

fn is_same(told: &Path, wanted: &Path) -> bool {
    told == wanted || told.canonicalize().is_ok_and(|told| told == wanted)
}

/// The directory by its real name.
pub(crate) fn real(directory: &Path) -> Result<PathBuf, AgentError> {
    let real = directory.canonicalize().map_err(|_| wrong(directory, None))?;
    if directory.is_absolute() && real.is_dir() { Ok(real) } else { Err(wrong(directory, None)) }
}
