//! What the owner tells the guard on its standard input: a length, the header as JSON, and then
//! the bytes that the program is to read, if they are known.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::marker::Marker;

/// One variable of the program's environment, set or removed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VarChange {
    pub(crate) name: OsString,
    pub(crate) value: Option<OsString>,
}

/// What the guard has to start and to end. It may hold a secret in `env`, so it is never shown.
#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Changes to the environment that the guard itself was given.
    pub(crate) env: Vec<VarChange>,
    pub(crate) directory: PathBuf,
    /// How many bytes follow for the program's standard input; without, it reads nothing.
    pub(crate) stdin: Option<u64>,
    /// The descriptor of the pipe that the program reads instead, which the guard has inherited.
    #[serde(default)]
    pub(crate) stdin_pipe: Option<i32>,
    pub(crate) marker: Marker,
    /// A directory of this tree alone, removed at the end.
    pub(crate) private_tmp: Option<PathBuf>,
    /// How long processes that listen to SIGTERM have before SIGKILL.
    pub(crate) grace_millis: u64,
}

/// A word of the owner's after the header: end the tree, politely first.
pub(crate) const END: u8 = b'q';
/// A word of the owner's after the header: end the tree at once.
pub(crate) const END_NOW: u8 = b'k';

/// A header cannot be larger; a longer one is a program that talks of something else.
const MOST: u32 = 4 << 20;

impl Header {
    /// The bytes that the guard reads before anything else.
    pub(crate) fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length =
            u32::try_from(json.len()).ok().filter(|&length| length <= MOST).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidInput, "the environment is too large")
            })?;
        Ok([&length.to_le_bytes()[..], &json].concat())
    }

    /// Reads what [`encode`](Self::encode) wrote, and the program's input after it.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<(Self, Option<Vec<u8>>)> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the header is too large"));
        }
        let mut json = vec![0; length as usize];
        from.read_exact(&mut json)?;
        let header: Self = serde_json::from_slice(&json)?;
        let Some(size) = header.stdin else { return Ok((header, None)) };
        let mut input = Vec::new();
        if from.take(size).read_to_end(&mut input)? as u64 == size {
            Ok((header, Some(input)))
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}
