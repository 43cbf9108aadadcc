//! What is where in a directory, and the backends that are there by default.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kugetsu_core::{AgentError, AgentRunner};
#[cfg(feature = "git")]
use kugetsu_core::{RepoRef, WorktreeProvider};
#[cfg(feature = "git")]
use kugetsu_git::{GitWorktrees, HttpsSources, InvalidSource, RepositoryMap, Source, Sources};
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
        made(&directory.join("home")).map(Self::Kept)
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
    if database.exists() {
        return new_store(directory, database).await;
    }
    if directory.join("journal.jsonl").exists() {
        return Ok(JsonStore::open(directory).await?.into());
    }
    if has_remains(directory) {
        // A new one would be an empty queue.
        let why = "kugetsu.db is gone, though kugetsu has worked here; put it back from a backup, or \
                   run `kugetsu doctor --fix` to begin a new one";
        return Err(BuildError::NoStore { directory: directory.to_owned(), why: why.into() });
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

/// Whether there is something that is only made beside a store: clones, or logs of attempts. (The
/// original made logs, too, and no clones.)
fn has_remains(directory: &Path) -> bool {
    let holds_any = |name: &str| {
        let entries = std::fs::read_dir(directory.join(name)).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name())
            .any(|name| !name.as_encoded_bytes().starts_with(b"."))
    };
    holds_any("repos") || holds_any("logs") && !directory.join("index.json").exists()
}

#[cfg(feature = "git")]
pub(crate) fn worktrees(
    directory: &Path,
    named: Vec<(RepoRef, Source)>,
) -> Arc<dyn WorktreeProvider> {
    let (worktrees, clones) = (directory.join("worktrees"), directory.join("repos"));
    let sources = Listed { named, file: directory.join("repos.json") };
    Arc::new(GitWorktrees::new(worktrees, clones, Arc::new(sources)))
}

/// Where the program says that repositories come from, then where `repos.json` says it, which is read
/// each time; then the host itself.
#[cfg(feature = "git")]
#[derive(Debug)]
struct Listed {
    named: Vec<(RepoRef, Source)>,
    file: PathBuf,
}

#[cfg(feature = "git")]
impl Sources for Listed {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        // Whoever names one twice means the second.
        match self.named.iter().rfind(|(named, _)| named == repository) {
            Some((_, source)) => Ok(source.clone()),
            None => RepositoryMap::read(&self.file, Arc::new(HttpsSources))?.source(repository),
        }
    }
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
    let queue = made(&directory.join("queue"))?;
    Ok(engine
        .with_bell(queue.join("bell"))
        .with_logs(Logs::new(directory.join("logs")))
        .with_contexts(Contexts::new(directory.join("context"))))
}

/// The directory, made if need be: an absolute path without symbolic links.
pub(crate) fn made(path: &Path) -> Result<PathBuf, BuildError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    let made = made.and_then(|()| path.canonicalize());
    made.map_err(|source| BuildError::Directory { path: path.to_owned(), source })
}
