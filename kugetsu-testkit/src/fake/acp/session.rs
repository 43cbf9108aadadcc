use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One session, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) directory: PathBuf,
    /// What was said, as the model has it.
    pub(super) messages: Vec<Value>,
    /// How many tokens were used.
    pub(super) used: u64,
}

/// Sessions in files.
pub(super) struct Sessions {
    home: PathBuf,
    made: AtomicU32,
}

impl Sessions {
    pub(super) fn in_directory(home: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&home)?;
        Ok(Self { home, made: AtomicU32::new(0) })
    }

    pub(super) fn make(&self, directory: PathBuf, messages: Vec<Value>) -> io::Result<Session> {
        // Several processes make sessions at once.
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let id = format!("fake-{}-{number}", std::process::id());
        let session = Session { id, directory, messages, used: 0 };
        self.put(&session)?;
        Ok(session)
    }

    pub(super) fn find(&self, id: &str) -> io::Result<Option<Session>> {
        match fs::read(self.file(id)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn put(&self, session: &Session) -> io::Result<()> {
        let unseen = self.home.join(format!("{}.new", session.id));
        fs::write(&unseen, serde_json::to_vec(session)?)?;
        fs::rename(unseen, self.file(&session.id))
    }

    pub(super) fn delete(&self, id: &str) -> io::Result<()> {
        fs::remove_file(self.file(id))
    }

    pub(super) fn all(&self) -> io::Result<Vec<Session>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.home)? {
            let name = entry?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
                all.extend(self.find(id)?);
            }
        }
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(all)
    }

    fn file(&self, id: &str) -> PathBuf {
        self.home.join(format!("{}.json", id.replace(['/', '.'], "-")))
    }
}
