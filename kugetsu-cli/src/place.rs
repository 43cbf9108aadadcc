//! What a custom backend is told of the place where it works.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kugetsu_core::{MemoStore, SessionStore, TaskStore};
use kugetsu_queue::{Inbox, Records};

use crate::paths::Paths;
use crate::settings::Settings;

/// Where a backend works, as its factory is told.
#[derive(Clone)]
pub struct Place {
    pub(crate) paths: Paths,
    pub(crate) settings: Settings,
    pub(crate) variables: Arc<BTreeMap<OsString, OsString>>,
}

impl Place {
    /// kugetsu's own directory, `KUGETSU_DIR`.
    pub fn directory(&self) -> &Path {
        self.paths.root()
    }

    /// A directory for this backend alone. It is not made before the backend makes it.
    pub fn state(&self, backend: &str) -> PathBuf {
        self.paths.state(backend)
    }

    /// The value of a setting by its name in `config.toml`; `None` if it is unset or unknown.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key)
    }

    /// An environment variable.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables hold secrets.
        f.debug_struct("Place").field("directory", &self.paths.root()).finish_non_exhaustive()
    }
}

/// Where everything durable is kept: usually faces of one store.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stores {
    /// Tasks and events.
    pub tasks: Arc<dyn TaskStore>,
    /// Sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// What is remembered by name, such as that the queue is paused.
    pub memos: Arc<dyn MemoStore>,
    /// Where notices are kept until they are read; `None` if the store has no such place.
    pub inbox: Option<Arc<dyn Inbox>>,
    /// Who knows how many records cannot be read; `None` if the store has none.
    pub records: Option<Arc<dyn Records>>,
}

impl Stores {
    /// One store for everything but notices.
    pub fn of<S: TaskStore + SessionStore + MemoStore + Clone>(store: S) -> Self {
        Self {
            tasks: Arc::new(store.clone()),
            sessions: Arc::new(store.clone()),
            memos: Arc::new(store),
            inbox: None,
            records: None,
        }
    }

    /// Counts records that cannot be read here.
    pub fn with_records(mut self, records: impl Records) -> Self {
        self.records = Some(Arc::new(records));
        self
    }

    /// Keeps notices here.
    pub fn with_inbox(mut self, inbox: impl Inbox) -> Self {
        self.inbox = Some(Arc::new(inbox));
        self
    }
}
