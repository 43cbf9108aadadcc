//! What is where in a directory, and the backends that are there by default.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kugetsu_core::{AgentError, AgentRunner, WorktreeProvider};
use kugetsu_queue::{Contexts, Engine, JsonStore, Logs};
use tempfile::TempDir;

use crate::builder::{BuildError, Stores};

/// Where the base session and the PM's work: a directory of nobody's repository.
#[derive(Debug)]
pub(crate) enum Home {
    /// In the directory of the builder.
    Kept(PathBuf),
    /// Gone with whoever holds it.
    Passing(TempDir),
}

impl Home {
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, BuildError> {
        let Some(directory) = directory else {
            let made = tempfile::Builder::new().prefix("kugetsu-").tempdir();
            let path = std::env::temp_dir();
            let made = made.map_err(|source| BuildError::Directory { path, source })?;
            return Ok(Self::Passing(made));
        };
        let home = directory.join("home");
        make(&home)?;
        Ok(Self::Kept(home))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(made) => made.path(),
        }
    }
}

/// The store that is there; a new one if there is none.
pub(crate) async fn stores(directory: &Path) -> Result<Stores, BuildError> {
    let database = directory.join("kugetsu.db");
    if !database.exists() && directory.join("journal.jsonl").exists() {
        return Ok(JsonStore::open(directory).await?.into());
    }
    new_store(directory, database).await
}

#[cfg(feature = "sqlite")]
async fn new_store(_: &Path, database: PathBuf) -> Result<Stores, BuildError> {
    Ok(kugetsu_queue::SqliteStore::open(database).await?.into())
}

#[cfg(not(feature = "sqlite"))]
#[allow(clippy::unused_async)]
async fn new_store(directory: &Path, _: PathBuf) -> Result<Stores, BuildError> {
    Err(BuildError::NoStore {
        directory: directory.to_owned(),
        why: "give one, or build kugetsu with its feature `sqlite`".into(),
    })
}

#[cfg(feature = "git")]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn worktrees(directory: &Path) -> Option<Arc<dyn WorktreeProvider>> {
    use kugetsu_git::{GitWorktrees, HttpsSources};
    let (worktrees, clones) = (directory.join("worktrees"), directory.join("repos"));
    Some(Arc::new(GitWorktrees::new(worktrees, clones, Arc::new(HttpsSources))))
}

#[cfg(not(feature = "git"))]
pub(crate) fn worktrees(_: &Path) -> Option<Arc<dyn WorktreeProvider>> {
    None
}

#[cfg(feature = "opencode")]
pub(crate) fn agent(directory: &Path) -> Result<Option<Arc<dyn AgentRunner>>, AgentError> {
    use kugetsu_opencode::{OpencodeConfig, OpencodeRunner};
    let config = OpencodeConfig::new(directory.join("state/opencode"));
    Ok(Some(Arc::new(OpencodeRunner::new(config)?)))
}

#[cfg(not(feature = "opencode"))]
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn agent(_: &Path) -> Result<Option<Arc<dyn AgentRunner>>, AgentError> {
    Ok(None)
}

/// The engine with what else is in the directory.
pub(crate) fn furnished(engine: Engine, directory: &Path) -> Result<Engine, BuildError> {
    let queue = directory.join("queue");
    make(&queue)?;
    Ok(engine
        .with_bell(queue.join("bell"))
        .with_logs(Logs::new(directory.join("logs")))
        .with_contexts(Contexts::new(directory.join("context"))))
}

fn make(path: &Path) -> Result<(), BuildError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| BuildError::Directory { path: path.to_owned(), source })
}
