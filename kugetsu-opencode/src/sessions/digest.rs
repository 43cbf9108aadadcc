//! The last way to hand on what a session knows: its words, in one message.

use super::Copied;

/// A digest never gets longer than this, in bytes; the oldest and the newest are kept.
const MOST: usize = 64 << 10;

/// What was said in the session, as one text.
pub(crate) fn digest(copied: &Copied) -> String {
    let said: Vec<String> =
        copied.said().map(|(role, text)| format!("[{role}]\n{text}\n")).collect();
    let whole = said.join("\n");
    let start = "This conversation goes on from an earlier one. What was said in it:\n\n";
    if whole.len() <= MOST {
        return format!("{start}{whole}");
    }
    let head = &whole[..whole.floor_char_boundary(MOST / 2)];
    let tail = &whole[whole.ceil_char_boundary(whole.len() - MOST / 2)..];
    format!("{start}{head}\n\n[… left out …]\n\n{tail}")
}
