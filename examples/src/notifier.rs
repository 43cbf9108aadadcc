//! A notifier of one's own: a file with a notice on each line, to be followed with `tail -f`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use kugetsu::core::{Notice, Notifier, NotifyError, Retry};
use tokio::time::{sleep, timeout};

/// How long another process may take with the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Appends notices to a file, as a line of JSON each, one of each key.
#[derive(Debug, Clone)]
pub struct FileNotifier {
    path: PathBuf,
}

impl FileNotifier {
    /// Brings notices to this file, which is made if there is none.
    pub fn new(path: impl AsRef<Path>) -> Self {
        // With a parent, also if it is only a name.
        Self { path: Path::new(".").join(path) }
    }

    /// The file, once nobody else writes to it.
    async fn locked(&self) -> io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let free = async {
            while let Err(error) = file.try_lock() {
                match error {
                    std::fs::TryLockError::WouldBlock => sleep(Duration::from_millis(10)).await,
                    std::fs::TryLockError::Error(error) => return Err(error),
                }
            }
            Ok(())
        };
        match timeout(PATIENCE, free).await {
            Ok(locked) => locked.map(|()| file),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "somebody else has it")),
        }
    }
}

#[async_trait]
impl Notifier for FileNotifier {
    // How far this sink has come is kept under its name.
    fn name(&self) -> &'static str {
        "notices-file"
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let failed = |error: io::Error| NotifyError::Backend {
            who: self.name().into(),
            operation: format!("write {} to {}", notice.key, self.path.display()),
            retry: Retry::Later,
            source: error.into(),
        };
        let file = self.locked().await.map_err(failed)?;
        let (path, notice) = (self.path.clone(), notice.clone());
        let written = tokio::task::spawn_blocking(move || add(&path, file, &notice)).await;
        written.map_err(io::Error::other).flatten().map_err(failed)
    }
}

/// Adds the notice, if it is not there; it may come again after a crash.
fn add(path: &Path, mut file: File, notice: &Notice) -> io::Result<()> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    // Whoever died while writing a line has told nobody that it was written.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64)?;
    }
    if notices(&bytes[..whole]).any(|kept| kept.key == notice.key) {
        return Ok(());
    }
    // JSON has no line break of its own, whatever an agent has written in the notice.
    let mut line = serde_json::to_vec(notice)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.sync_all()?;
    match path.parent() {
        Some(directory) if whole == 0 => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// The notices in such a file's text.
fn notices(bytes: &[u8]) -> impl Iterator<Item = Notice> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

/// The notices in such a file.
pub fn kept(path: &Path) -> io::Result<Vec<Notice>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(notices(&bytes).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
