//! Where the runner keeps what: its own directory, private to the user.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::random;

/// The runner's own directory.
#[derive(Debug, Clone)]
pub(crate) struct State(PathBuf);

impl State {
    /// Makes the directory and all that has to be in it. Doing it twice is doing it once.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let state = Self(std::path::absolute(root)?);
        for directory in [state.0.clone(), state.trees(), state.tmp(), state.logs()] {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        state.close()?;
        // opencode compares directories by their real names.
        Ok(Self(fs::canonicalize(&state.0)?))
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
        match fs::canonicalize(root) {
            Ok(real) => Ok(Some(Self(real))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("opencode.db")
    }

    /// The records of process trees that live, or that have to be ended.
    pub(crate) fn trees(&self) -> PathBuf {
        self.0.join("trees")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// Our own shell, which is this program under another name. Making it twice is making it once.
    pub(crate) fn shell(&self, program: &Path) -> io::Result<PathBuf> {
        let directory = self.0.join("bin");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let link = directory.join(crate::shell::NAME);
        if is_one_file(&link, program)? {
            return Ok(link);
        }
        let name = format!("{}.{}", crate::shell::NAME, random::hex::<8>()?);
        let unseen = directory.join(name);
        // opencode takes another shell if this one is missing, so it has to outlive the program's
        // own file. Not every file can be linked so.
        if fs::hard_link(program, &unseen).is_err() {
            std::os::unix::fs::symlink(program, &unseen)?;
        }
        fs::rename(unseen, &link)?;
        Ok(link)
    }

    /// Held while left-over trees are ended.
    pub(crate) fn recovery_lock(&self) -> PathBuf {
        self.0.join("recovery.lock")
    }

    /// Waits for the right to have this version of opencode open the database for the first time,
    /// since two that make or migrate it at once would trip over each other. `None` if that has
    /// been done already, so that nobody has to wait.
    pub(crate) async fn first_opening(&self, version: &str) -> io::Result<Option<FirstOpening>> {
        let (note, lock_file) = (self.0.join("opened"), self.0.join("opening.lock"));
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

fn is_one_file(link: &Path, program: &Path) -> io::Result<bool> {
    let program = fs::metadata(program)?;
    let same = |link: fs::Metadata| (link.dev(), link.ino()) == (program.dev(), program.ino());
    Ok(fs::metadata(link).is_ok_and(same))
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

/// Opens a file of ours for writing, making it private to the user.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// The file, locked for us alone; `None` if somebody else has it. Free again when the last copy of
/// the open file is closed, in whatever process.
pub(crate) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = private_file(path)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file is there and nobody has it locked.
pub(crate) fn is_free(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The file, locked for us alone, waiting for it. Blocks the thread.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = private_file(path)?;
    loop {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
