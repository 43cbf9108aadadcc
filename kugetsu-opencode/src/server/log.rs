//! What a server says, kept in a file of bounded size.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kugetsu_guard::files;

/// A log grows to this many bytes; what comes then is dropped, and that is said once.
const MOST: u64 = 4 << 20;
/// So many logs of earlier servers are kept.
const KEPT: usize = 5;

/// A log file of bounded size. Failing to write it fails nothing else.
#[derive(Debug)]
pub(crate) struct Log {
    file: Option<File>,
    size: u64,
}

impl Log {
    /// A new log in the directory, in which old ones are removed.
    pub(crate) fn create(directory: &Path, name: &str) -> io::Result<Self> {
        remove_old(directory);
        let file = files::private_file(&directory.join(format!("{name}.log")))?;
        Ok(Self { file: Some(file), size: 0 })
    }

    /// Appends a line.
    pub(crate) fn line(&mut self, line: &str) {
        let Some(file) = &mut self.file else { return };
        self.size += line.len() as u64 + 1;
        if self.size > MOST {
            let _ = writeln!(file, "kugetsu: the log has reached its limit and ends here");
            self.file = None;
        } else if writeln!(file, "{line}").is_err() {
            self.file = None;
        }
    }
}

fn remove_old(directory: &Path) {
    let mut logs: Vec<(std::time::SystemTime, PathBuf)> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    let old = logs.len().saturating_sub(KEPT);
    for (_, path) in &logs[..old] {
        let _ = fs::remove_file(path);
    }
}
