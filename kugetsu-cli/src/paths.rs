//! Where everything is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::errors::CliError;
use crate::surroundings::Surroundings;

/// The directory `KUGETSU_DIR` and what is where in it.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: PathBuf,
    /// Whether `KUGETSU_DIR` names it.
    pub(crate) named: bool,
}

impl Paths {
    /// `KUGETSU_DIR`, or `.kugetsu` in the home directory.
    pub(crate) fn find(around: &Surroundings) -> Result<Self, CliError> {
        let set = |name| around.variable(name).filter(|value| !value.is_empty());
        if let Some(dir) = set("KUGETSU_DIR") {
            return Ok(Self { root: around.directory.join(dir), named: true });
        }
        match set("HOME") {
            Some(home) => Ok(Self { root: Path::new(home).join(".kugetsu"), named: false }),
            None => Err(CliError::config("neither KUGETSU_DIR nor HOME is set")
                .hint("set KUGETSU_DIR to the directory that kugetsu may use")),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The original's settings file.
    pub(crate) fn flat_config(&self) -> PathBuf {
        self.root.join("config")
    }

    pub(crate) fn env(&self) -> PathBuf {
        self.root.join("env")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("kugetsu.db")
    }

    /// The truth of the store in readable files.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// The journal's second name.
    pub(crate) fn spare_journal(&self) -> PathBuf {
        self.root.join("journal.jsonl.spare")
    }

    pub(crate) fn worktrees(&self) -> PathBuf {
        self.root.join("worktrees")
    }

    pub(crate) fn clones(&self) -> PathBuf {
        self.root.join("repos")
    }

    /// Where repositories come from.
    pub(crate) fn sources(&self) -> PathBuf {
        self.root.join("repos.json")
    }

    /// The git servers.
    pub(crate) fn servers(&self) -> PathBuf {
        self.root.join("servers.json")
    }

    pub(crate) fn slots(&self) -> PathBuf {
        self.root.join("slots")
    }

    /// The daemon's own directory.
    pub(crate) fn queue(&self) -> PathBuf {
        self.root.join("queue")
    }

    /// What is rung when a task was changed.
    pub(crate) fn bell(&self) -> PathBuf {
        self.queue().join("bell")
    }

    /// Where the base session and the PM work: a directory of nobody's repository.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// A backend's own directory.
    pub(crate) fn state(&self, backend: &str) -> PathBuf {
        self.root.join("state").join(backend)
    }

    /// The logs of attempts.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What is remembered of each issue.
    pub(crate) fn contexts(&self) -> PathBuf {
        self.root.join("context")
    }

    /// The rules that dev agents are told instead of the built-in ones.
    pub(crate) fn dev_prompt(&self) -> PathBuf {
        self.root.join("dev-agent.md")
    }

    /// What the PM is told instead of the built-in prompt.
    pub(crate) fn pm_prompt(&self) -> PathBuf {
        self.root.join("pm-agent.md")
    }

    /// Whether `init` was ever here.
    pub(crate) fn are_made(&self) -> bool {
        self.env().is_dir()
    }

    /// All directories that `init` makes, each after the one that it is in.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        vec![
            self.root.clone(),
            self.env(),
            self.home(),
            self.worktrees(),
            self.clones(),
            self.slots(),
            self.queue(),
            self.root.join("state"),
            self.logs(),
        ]
    }

    /// Whether there is something that is only made with a store: worktrees, logs of attempts, or an
    /// agent's own store.
    pub(crate) fn has_remains(&self) -> bool {
        let holds_any = |directory: &Path| {
            std::fs::read_dir(directory).is_ok_and(|entries| {
                entries
                    .flatten()
                    .any(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
            })
        };
        // A bash version made worktrees and logs, too, and had no clones of ours.
        let made_here = if self.is_of_bash_version() {
            holds_any(&self.clones())
        } else {
            holds_any(&self.worktrees()) || holds_any(&self.logs())
        };
        made_here || self.state("opencode").join("opencode.db").exists() || self.has_view()
    }

    /// Whether the store in readable files has shown something here.
    fn has_view(&self) -> bool {
        let mut begin = [0; 80];
        let index = File::open(self.root.join("index.json"));
        let length = index.and_then(|mut index| index.read(&mut begin)).unwrap_or(0);
        String::from_utf8_lossy(&begin[..length]).contains(r#""view_of": "journal.jsonl""#)
    }

    /// Whether a bash version of kugetsu was at work here.
    fn is_of_bash_version(&self) -> bool {
        let has = |name: &str| self.root.join(name).exists();
        (has("index.json") || has("sessions")) && !has("journal.jsonl") && !self.has_view()
    }

    /// Makes the directories, open to their owner only.
    pub(crate) fn make(&self) -> Result<(), CliError> {
        for directory in self.directories() {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
                CliError::io(format_args!("make the directory {}", directory.display()), &error)
            })?;
        }
        Ok(())
    }
}

/// Writes a file that only its owner reads, unless there is one. Says whether it was made.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<bool, CliError> {
    let told = |error| CliError::io(format_args!("write {}", path.display()), &error);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(told)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(told(error)),
    }
}

/// Waits until nobody else changes the file. It is held while the lock is open, which is followed
/// nowhere if it is a link.
pub(crate) fn lock_beside(path: &Path) -> io::Result<File> {
    let follow_no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let mut how = OpenOptions::new();
    how.create(true).read(true).append(true).mode(0o600).custom_flags(follow_no_link);
    let lock = how.open(path.with_extension("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// The text of a plain file. Anything else that has its name is told as an error, and keeps nobody
/// waiting, as a pipe would.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Replaces a file as a whole, so that a crash leaves the old one or the new one. It is on the disk
/// when this returns, and only its owner reads it. Of two at once one may fail: whoever may not be
/// alone holds [`lock_beside`].
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let next = PathBuf::from(next);
    // What a crash has left would keep its mode.
    match std::fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&next, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
