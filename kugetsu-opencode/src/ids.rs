//! opencode's ids: a prefix, twelve hexadecimal digits of time, fourteen random characters.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::random;

/// Messages sort by their ids, so ours has to lie between what the server gave before and what it
/// gives after. The server counts from 0 within each millisecond; ours takes a place in the middle.
const MIDDLE: u64 = 0x800;
const MASK: u64 = (1 << 48) - 1;

/// A message id that sorts as if the server had given it now.
pub(crate) fn message() -> io::Result<String> {
    Ok(format!("msg_{:012x}{}", (millis() * 4096 + MIDDLE) & MASK, random::base62::<14>()?))
}

/// A session id that sorts as if the server had given it now: newest first.
pub(crate) fn session() -> io::Result<String> {
    Ok(format!("ses_{:012x}{}", !(millis() * 4096 + MIDDLE) & MASK, random::base62::<14>()?))
}

/// An id with the prefix and time of this one, and a new end.
pub(crate) fn renewed(id: &str) -> io::Result<String> {
    let kept: String = id.chars().take(16).collect();
    Ok(kept + &random::base62::<14>()?)
}

fn millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 4096))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_opencodes_shape() {
        let id = message().unwrap();
        assert_eq!(id.len(), 30);
        assert!(id.starts_with("msg_"));
        let renewed = renewed(&id).unwrap();
        assert_eq!(renewed.len(), 30);
        assert_eq!(renewed[..16], id[..16]);
        assert_ne!(renewed, id);
        assert!(crate::quirks::is_session_id(&session().unwrap()));
        assert!(!crate::quirks::is_session_id("ses_../x"));
    }
}
