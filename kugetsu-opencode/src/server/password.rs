//! The secret that a server and its owner share.

use std::fmt;
use std::io;

use crate::random;

/// A server's password. It is shown by nothing.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// 32 random bytes, in hexadecimal.
    pub(crate) fn new() -> io::Result<Self> {
        random::hex::<32>().map(Self)
    }

    /// For the request and for the server's environment, and for nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The text without the password, which an agent can read in its own environment.
    pub(crate) fn mask(&self, text: String) -> String {
        if text.contains(&self.0) { text.replace(&self.0, "********") } else { text }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(********)")
    }
}
