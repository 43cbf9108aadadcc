//! The hidden mark by which something that was written once is found again.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The mark of a key: a comment of HTML, which no forge shows. The key itself is not in it, so that
/// it may hold anything.
pub(crate) fn of(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    let mut mark = String::from("<!-- kugetsu:");
    for byte in hash.iter().take(16) {
        let _ = write!(mark, "{byte:02x}");
    }
    mark.push_str(" -->");
    mark
}

/// The text with the mark below it. Marks within it are broken, so that nobody's text is taken for
/// something that was written under another key.
pub(crate) fn signed(text: &str, mark: &str) -> String {
    format!("{}\n\n{mark}", text.trim_end().replace("<!-- kugetsu:", "<!-- kugetsu :"))
}
