//! Conversations that another opencode database holds, such as the one of a user's own.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kugetsu_core::agent::{AgentError, AgentSession, AgentSessions as _, NewAgentSession};
use kugetsu_core::error::Retry;
use kugetsu_core::ids::AgentSessionId;

use super::{Copied, digest, import, is_same, title};
use crate::config::Engine;
use crate::runner::OpencodeRunner;
use crate::{fault, quirks, random};

/// How often a database that is written to meanwhile is copied anew.
const COPIES: usize = 5;

/// A copy of another opencode database, from which conversations can be taken over.
///
/// The database itself is only read: opencode would bring it to its own version. The copy is deleted
/// when this is dropped; after a crash it lies in the runner's own directory for temporary files.
#[derive(Debug)]
pub struct OtherDatabase {
    runner: OpencodeRunner,
    directory: PathBuf,
}

impl OpencodeRunner {
    /// Copies the database at `path`. `None` if there is none.
    pub async fn other_database(&self, path: &Path) -> Result<Option<OtherDatabase>, AgentError> {
        let told = |error| fault::io("copy another database of opencode's", error);
        let name = random::hex::<8>().map_err(told)?;
        let directory = self.state().await?.tmp().join(format!("other-{name}"));
        let other = OtherDatabase { runner: self.clone(), directory };
        let (path, place) = (path.to_owned(), other.directory.clone());
        let copied = tokio::task::spawn_blocking(move || copy(&path, &place))
            .await
            .map_err(|error| told(io::Error::other(error)))?;
        Ok(copied.map_err(told)?.then_some(other))
    }
}

impl OtherDatabase {
    /// Makes a session of the runner's own in the new one's directory that knows what the session
    /// `id` of the other database knows. `None` if the other database has no such session.
    ///
    /// Doing it twice makes two sessions.
    pub async fn take_over(
        &self,
        id: &AgentSessionId,
        new: &NewAgentSession,
    ) -> Result<Option<AgentSession>, AgentError> {
        let runner = &self.runner;
        let directory = runner.trusted(&new.directory)?;
        let Some(origin) = self.export(id).await? else { return Ok(None) };
        let rules = match runner.config().engine {
            Engine::Run => runner.solo_rules(new.role).await?,
            Engine::Server => {
                runner.rules_for(runner.lease().await?.http(), new.role, &directory).await?
            }
        };
        let copy = origin.renewed(title(new), &rules)?;
        match import(runner, &copy, &directory).await {
            Ok(()) => {
                let id = super::session_id(copy.id())?;
                let known = runner.describe(&id).await?;
                if known.is_some_and(|known| is_same(&known.directory, &directory)) {
                    return Ok(Some(AgentSession::new(id, directory, "taken over")));
                }
                let _ = runner.delete(&id).await;
            }
            Err(error @ AgentError::Missing { .. }) => return Err(error),
            // Its version may be one that this opencode does not read any more.
            Err(_) => {}
        }
        let told = NewAgentSession::new(&directory, title(new))
            .with_role(new.role)
            .with_briefing(digest(&origin));
        let made = runner.create(&told).await?;
        Ok(Some(AgentSession::new(made.id, directory, "taken over as a digest")))
    }

    async fn export(&self, id: &AgentSessionId) -> Result<Option<Copied>, AgentError> {
        if !quirks::is_session_id(id.as_str()) {
            return Ok(None);
        }
        let database = self.directory.join(DATABASE);
        let args = ["export", id.as_str()].map(OsStr::new);
        let output = self.runner.command_on(args, &self.directory, Some(&database)).await?;
        if output.code == Some(0) {
            return Copied::parse(&output.stdout)
                .map(Some)
                .map_err(|error| fault::backend("read an export", Retry::Never, error));
        }
        if String::from_utf8_lossy(&output.stderr).contains(quirks::NO_SESSION) {
            return Ok(None);
        }
        Err(fault::backend("export a session", Retry::Never, output.complaint()))
    }
}

impl Drop for OtherDatabase {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const DATABASE: &str = "opencode.db";

/// Copies a database with what its log holds, as it was at one instant.
fn copy(path: &Path, place: &Path) -> io::Result<bool> {
    let log = with_end(path, "-wal");
    let Some(mut before) = seen(path, &log)? else { return Ok(false) };
    DirBuilder::new().recursive(true).mode(0o700).create(place)?;
    let (copied, copied_log) = (place.join(DATABASE), place.join(format!("{DATABASE}-wal")));
    for _ in 0..COPIES {
        fs::copy(path, &copied)?;
        match fs::copy(&log, &copied_log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = fs::remove_file(&copied_log);
            }
            other => drop(other?),
        }
        match seen(path, &log)? {
            Some(after) if after == before => return Ok(true),
            Some(after) => before = after,
            None => return Ok(false),
        }
    }
    Err(io::Error::other("it is written to all the time; end the opencode that uses it"))
}

type Seen = [Option<(u64, SystemTime)>; 2];

/// What would differ if somebody had written meanwhile; `None` if there is no database.
fn seen(path: &Path, log: &Path) -> io::Result<Option<Seen>> {
    let look = |path: &Path| match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(Some((found.len(), found.modified()?))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(match look(path)? {
        Some(database) => Some([Some(database), look(log)?]),
        None => None,
    })
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
