//! The notifier of `docs/writing-a-backend.md`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use kugetsu::core::{Notice, Notifier, NotifyError, Retry};

/// Appends notices to a file, a line of JSON each.
#[derive(Debug, Clone)]
pub struct Lines(pub PathBuf);

#[async_trait]
impl Notifier for Lines {
    // How far a sink has come is kept under its name, so it stays the same.
    fn name(&self) -> &'static str {
        "lines"
    }

    async fn notify(&self, notice: &Notice) -> Result<(), NotifyError> {
        let (path, notice, key) = (self.0.clone(), notice.clone(), notice.key.clone());
        // Files block, so they are written on a thread that may.
        let written = tokio::task::spawn_blocking(move || append(&path, &notice)).await;
        written.map_err(io::Error::other).flatten().map_err(|error| NotifyError::Backend {
            who: self.name().into(),
            operation: format!("write {key} to {}", self.0.display()),
            retry: Retry::Later,
            source: error.into(),
        })
    }
}

fn append(path: &Path, notice: &Notice) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    // Other processes bring notices to the same file. The lock ends with the file, whoever dies.
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // Whoever died in the middle of a line has told nobody that it was written.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    file.set_len(whole as u64)?;
    let is_it =
        |line| serde_json::from_str::<Notice>(line).is_ok_and(|kept| kept.key == notice.key);
    if text[..whole].lines().any(is_it) {
        return Ok(());
    }
    // JSON has no line break of its own, whatever an agent has written in the notice.
    writeln!(file, "{}", serde_json::to_string(notice)?)?;
    file.sync_all()?;
    // The file itself may be new.
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
