//! Where the runner keeps what: its own directory, private to the user.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kugetsu_guard::files::{lock, private_file};
use kugetsu_guard::{Trees, shell};

/// The runner's own directory, in which its process trees are recorded, too.
#[derive(Debug, Clone)]
pub(crate) struct State(Trees);

impl State {
    /// Makes the directory and all that has to be in it. Doing it twice is doing it once.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        // opencode compares directories by their real names, as this has them.
        let state = Self(Trees::open(root)?);
        DirBuilder::new().recursive(true).mode(0o700).create(state.logs())?;
        state.close()?;
        Ok(state)
    }

    /// Takes the right to read the conversations from others, who could if the directory were moved.
    fn close(&self) -> io::Result<()> {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.database().into_os_string();
            path.push(end);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_file() && found.mode() & 0o077 != 0 => {
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The directory, if it is there. Nothing is made.
    pub(crate) fn there(root: &Path) -> io::Result<Option<Self>> {
        Ok(Trees::there(root)?.map(Self))
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.root()
    }

    /// The process trees of this runner.
    pub(crate) fn trees(&self) -> &Trees {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root().join("opencode.db")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.0.tmp()
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root().join("logs")
    }

    /// Our own shell, which is this program under another name. Making it twice is making it once.
    pub(crate) fn shell(&self, program: &Path) -> io::Result<PathBuf> {
        shell::install(&self.root().join("bin"), program)
    }

    /// Waits for the right to have this version of opencode open the database for the first time,
    /// since two that make or migrate it at once would trip over each other. `None` if that has
    /// been done already, so that nobody has to wait.
    pub(crate) async fn first_opening(&self, version: &str) -> io::Result<Option<FirstOpening>> {
        let (note, lock_file) = (self.root().join("opened"), self.root().join("opening.lock"));
        let (database, version) = (self.database(), version.to_owned());
        let was_opened = move || {
            let opened = fs::read_to_string(&note).is_ok_and(|by| by == version);
            let opening = FirstOpening { note: note.clone(), version: version.clone(), lock: None };
            (!(opened && database.exists())).then_some(opening)
        };
        let Some(mut opening) = was_opened() else { return Ok(None) };
        opening.lock = Some(
            tokio::task::spawn_blocking(move || lock(&lock_file))
                .await
                .map_err(io::Error::other)??,
        );
        // Whoever had the lock before may have done it.
        if was_opened().is_none() {
            return Ok(None);
        }
        // An empty file is an empty database, and what opencode puts beside it has its mode.
        private_file(&self.database())?;
        Ok(Some(opening))
    }
}

/// The right to be the first; given up when dropped.
#[derive(Debug)]
pub(crate) struct FirstOpening {
    note: PathBuf,
    version: String,
    lock: Option<File>,
}

impl FirstOpening {
    /// It has been opened; nobody has to wait any more.
    pub(crate) fn done(self) {
        // Should this fail, the next one waits without need.
        let unseen = self.note.with_extension("new");
        if fs::write(&unseen, &self.version).is_ok() {
            let _ = fs::rename(unseen, &self.note);
        }
        drop(self.lock);
    }
}
