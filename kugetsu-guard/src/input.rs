//! What a program reads on its standard input.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::process::ChildStdin;

/// What a program reads on its standard input. By default, nothing.
///
/// It may hold a secret, so it is never shown.
#[derive(Default)]
pub struct Input(pub(crate) Kind);

#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    Pipe(Arc<File>),
}

impl Input {
    /// The input is at its end from the beginning.
    pub fn nothing() -> Self {
        Self(Kind::Nothing)
    }

    /// These bytes, and then the end. They are kept in memory by owner and guard until the program
    /// has read them; a program that does not read them is not waited for.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// Whatever is written into the pipe that is returned, until that is dropped.
    ///
    /// The pipe has nothing to do with the guard's own line to its owner: closing it ends the
    /// program's input and nothing else. Writing waits while the program does not read, and fails
    /// with [`BrokenPipe`](io::ErrorKind::BrokenPipe) when nobody is left who could.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O enabled.
    pub fn pipe() -> io::Result<(Self, ChildStdin)> {
        let (reader, writer) = io::pipe()?;
        let writer = ChildStdin::from_std(std::process::ChildStdin::from(OwnedFd::from(writer)))?;
        Ok((Self(Kind::Pipe(Arc::new(File::from(OwnedFd::from(reader))))), writer))
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Kind::Nothing => "Input(nothing)",
            Kind::Bytes(_) => "Input(bytes)",
            Kind::Pipe(_) => "Input(pipe)",
        })
    }
}
