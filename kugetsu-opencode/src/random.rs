//! Chance, from the kernel.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// `N` random bytes as `2 * N` lower-case hexadecimal digits.
pub(crate) fn hex<const N: usize>() -> io::Result<String> {
    Ok(bytes::<N>()?.iter().fold(String::with_capacity(2 * N), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// `n` random characters of `0-9A-Za-z`, as opencode ends its ids with.
pub(crate) fn base62<const N: usize>() -> io::Result<String> {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    Ok(bytes::<N>()?.iter().map(|&byte| char::from(DIGITS[usize::from(byte) % 62])).collect())
}
