//! The doorbell: how a release, or new work, wakes whoever waits for it in another process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use tokio::net::unix::pipe;

/// A FIFO into which whoever has news writes a byte.
#[derive(Debug)]
pub(crate) struct Bell {
    path: PathBuf,
    ringer: OnceLock<File>,
}

impl Bell {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, ringer: OnceLock::new() }
    }

    /// Makes the FIFO, if there is none. A file in its place, which some tools make of a FIFO, is
    /// replaced: it would answer for ever.
    pub(crate) fn hang(&self) -> io::Result<()> {
        let mode = Mode::RUSR | Mode::WUSR;
        match mkfifoat(CWD, &self.path, mode) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        if fs::symlink_metadata(&self.path)?.is_file() {
            let mut next = self.path.clone().into_os_string();
            next.push(format!(".{}", std::process::id()));
            mkfifoat(CWD, &next, mode)?;
            fs::rename(&next, &self.path)?;
        }
        Ok(())
    }

    /// Wakes whoever listens. Without a FIFO nobody has ever waited. A full one has not been heard
    /// yet, and one ring is as good as many; a broken one is made up for by the safety look.
    pub(crate) fn ring(&self) {
        let ringer = match self.ringer.get() {
            Some(ringer) => Some(ringer),
            None => open(&self.path).ok().map(|file| self.ringer.get_or_init(|| file)),
        };
        if let Some(mut ringer) = ringer {
            let _ = ringer.write(&[1]);
        }
    }

    /// Listens from now on. What was rung before is forgotten.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        self.hang()?;
        let mut old = open(&self.path)?;
        while matches!(old.read(&mut [0; 4096]), Ok(1..)) {}
        // With both ends open it needs nobody at the other one.
        let fifo = pipe::OpenOptions::new().read_write(true).open_receiver(&self.path)?;
        Ok(Listener { fifo })
    }
}

/// Somebody who listens to a bell. Of several, not every one hears every ring.
#[derive(Debug)]
pub(crate) struct Listener {
    fifo: pipe::Receiver,
}

impl Listener {
    /// Returns when the bell was rung since it was last [silenced](Self::silence).
    pub(crate) async fn rung(&self) -> io::Result<()> {
        self.fifo.readable().await
    }

    /// Forgets what was rung so far, and says whether anything was.
    pub(crate) fn silence(&self) -> bool {
        let mut heard = [0; 4096];
        let mut any = false;
        while matches!(self.fifo.try_read(&mut heard), Ok(1..)) {
            any = true;
        }
        any
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Ok(file);
    }
    Err(io::Error::other(format!("{} is no FIFO; delete it", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_in_the_place_of_a_bell_is_replaced_and_nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("bell");
        fs::write(&path, "").unwrap();
        // Whoever rings leaves it alone.
        Bell::new(path.clone()).ring();
        assert_eq!(fs::read(&path).unwrap(), b"");
        let listener = Bell::new(path.clone()).listen().unwrap();
        Bell::new(path.clone()).ring();
        listener.rung().await.unwrap();
        listener.silence();
        let directory = home.path().join("other");
        fs::create_dir(&directory).unwrap();
        assert!(Bell::new(directory.clone()).listen().is_err());
        assert!(directory.is_dir());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2);
    }
}
