//! What the runner remembers: where each session works, and what the agent said that it can do.
//!
//! | file in the runner's directory | what it holds |
//! |---|---|
//! | `agent.json` | what the agent with this command said of itself |
//! | `first.lock` | locked by whoever starts the agent and is the first to do so |
//! | `sessions/<name>.json` | a session: its id, where it works, what it has used |
//! | `sessions/<name>.lock` | locked by whoever works in it |

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kugetsu_guard::files;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::talk::{Abilities, Used};

/// The runner's directory.
#[derive(Debug, Clone)]
pub(crate) struct Records(PathBuf);

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) session: String,
    pub(crate) directory: PathBuf,
    #[serde(default)]
    pub(crate) used: Used,
}

/// What an agent said, and by which command it was started then.
#[derive(Serialize, Deserialize)]
struct Known {
    command: Vec<String>,
    can: Abilities,
}

impl Records {
    /// Makes the directories. Doing it twice is doing it once.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let records = Self(root.to_owned());
        DirBuilder::new().recursive(true).mode(0o700).create(records.sessions())?;
        Ok(records)
    }

    /// The records in this directory, whether it is there or not.
    pub(crate) fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The session, if the runner has worked in it.
    pub(crate) fn find(&self, session: &str) -> io::Result<Option<Record>> {
        let record: Option<Record> = read(&self.file(session, "json"))?;
        Ok(record.filter(|record| record.session == session))
    }

    pub(crate) fn put(&self, record: &Record) -> io::Result<()> {
        write(&self.file(&record.session, "json"), record)
    }

    /// The right to work in the session; `None` if somebody else has it for as long as that.
    pub(crate) async fn lock(&self, session: &str, patience: Duration) -> io::Result<Option<File>> {
        lock(&self.file(session, "lock"), patience).await
    }

    /// The right to be the first to start the agent; `None` if the first takes longer than that.
    pub(crate) async fn first_start(&self, patience: Duration) -> io::Result<Option<File>> {
        lock(&self.0.join("first.lock"), patience).await
    }

    /// What the agent said of itself when it was last started by this command.
    pub(crate) fn abilities(&self, command: &[OsString]) -> Option<Abilities> {
        let known: Known = read(&self.agent()).ok()??;
        (known.command == words(command)).then_some(known.can)
    }

    pub(crate) fn learn(&self, command: &[OsString], can: &Abilities) -> io::Result<()> {
        write(&self.agent(), &Known { command: words(command), can: can.clone() })
    }

    fn agent(&self) -> PathBuf {
        self.0.join("agent.json")
    }

    fn sessions(&self) -> PathBuf {
        self.0.join("sessions")
    }

    fn file(&self, session: &str, kind: &str) -> PathBuf {
        self.sessions().join(format!("{}.{kind}", file_name(session)))
    }
}

async fn lock(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    let until = Instant::now() + patience;
    loop {
        match files::try_lock(path)? {
            Some(lock) => return Ok(Some(lock)),
            None if Instant::now() >= until => return Ok(None),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn words(command: &[OsString]) -> Vec<String> {
    command.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// A file name like no other session's: what can stand in one as it is, and a number made of all
/// of it. Should two be the same after all, the record's own id tells.
fn file_name(session: &str) -> String {
    let plain = session.chars().take(80);
    let mut name: String =
        plain.map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    // 64-bit FNV-1a.
    let number = session.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let _ = write!(name, "-{number:016x}");
    name
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whoever dies on the way leaves the old file, and so does who writes at the same time.
fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let unseen = path.with_extension(format!(
        "{}.{:?}.new",
        std::process::id(),
        std::thread::current().id()
    ));
    let written = File::create(&unseen).and_then(|mut file| {
        serde_json::to_writer(&mut file, value)?;
        file.write_all(b"\n")?;
        file.sync_data()
    });
    let written = written.and_then(|()| fs::rename(&unseen, path));
    if written.is_err() {
        let _ = fs::remove_file(&unseen);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_with_any_id_are_kept_apart() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        let long = "x".repeat(200);
        let ids = ["../../etc", "..-..-etc", ".", "a/b", "a-b", &long, &long[1..]];
        for id in ids {
            assert_eq!(records.find(id).unwrap(), None);
            let directory = PathBuf::from(id);
            records.put(&Record { session: id.into(), directory, used: Used::default() }).unwrap();
        }
        for id in ids {
            assert_eq!(records.find(id).unwrap().unwrap().directory, Path::new(id));
        }
        assert_eq!(fs::read_dir(directory.path().join("sessions")).unwrap().count(), ids.len());
    }
}
