//! The doorbell: how a release, or new work, wakes whoever waits for it in another process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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

    /// Makes the FIFO, if there is none.
    pub(crate) fn hang(&self) -> io::Result<()> {
        match mkfifoat(CWD, &self.path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
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
        while old.read(&mut [0; 4096]).is_ok() {}
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

    /// Forgets what was rung so far.
    pub(crate) fn silence(&self) {
        let mut heard = [0; 4096];
        while self.fifo.try_read(&mut heard).is_ok() {}
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}
