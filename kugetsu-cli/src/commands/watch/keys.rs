//! Keys: what the bytes of a terminal mean.

/// A key that means something to the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
}

/// The keys of what was read in one go. What is no key of ours is left out whole.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    let (mut keys, mut rest) = (Vec::new(), bytes);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let key = match first {
            0x1b => {
                let (key, length) = escaped(after);
                rest = &after[length..];
                key
            }
            0x03 => Some(Key::Interrupt),
            0x0c => Some(Key::Redraw),
            0x1a => Some(Key::Suspend),
            b'\r' | b'\n' => Some(Key::Enter),
            0x20..=0x7e => Some(Key::Char(char::from(*first))),
            _ => None,
        };
        keys.extend(key);
    }
    keys
}

/// Whether the rest of a key may still be on its way.
pub(super) fn is_cut_off(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().rposition(|byte| *byte == 0x1b) else { return false };
    match &bytes[at + 1..] {
        [] | [b'[' | b'O'] => true,
        [b'[', parameters @ ..] => !parameters.iter().any(|byte| is_final(*byte)),
        _ => false,
    }
}

/// The key after an escape character, and how many bytes it is long.
fn escaped(after: &[u8]) -> (Option<Key>, usize) {
    match after {
        // It stands alone, or before that of another key.
        [] | [0x1b, ..] => (Some(Key::Escape), 0),
        [b'O', name, ..] => (named(&[], *name), 2),
        [b'[', parameters @ ..] => match parameters.iter().position(|byte| is_final(*byte)) {
            Some(end) => (named(&parameters[..end], parameters[end]), end + 2),
            None => (None, after.len()),
        },
        // A key with Alt.
        _ => (None, 1),
    }
}

fn is_final(byte: u8) -> bool {
    (0x40..=0x7e).contains(&byte)
}

fn named(parameters: &[u8], last: u8) -> Option<Key> {
    Some(match (parameters, last) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (_, b'H') | (b"1" | b"7", b'~') => Key::Home,
        (_, b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Key, is_cut_off, keys};

    #[test]
    fn bytes_are_the_keys_that_were_pressed() {
        let table: [(&[u8], &[Key]); 14] = [
            (b"q", &[Key::Char('q')]),
            (b"jk?", &[Key::Char('j'), Key::Char('k'), Key::Char('?')]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1b\x1b", &[Key::Escape, Key::Escape]),
            (b"\x1b[A\x1b[B", &[Key::Up, Key::Down]),
            (b"\x1bOA\x1bOB", &[Key::Up, Key::Down]),
            (b"\x1b[5~\x1b[6~", &[Key::PageUp, Key::PageDown]),
            (b"\x1b[H\x1b[4~", &[Key::Home, Key::End]),
            (b"\r", &[Key::Enter]),
            (b"\x03\x1a\x0c", &[Key::Interrupt, Key::Suspend, Key::Redraw]),
            // Alt and s is not s; a mouse, a function key, and what is not ASCII are no keys.
            (b"\x1bs", &[]),
            (b"\x1b[<0;10;10M\x1b[15~", &[]),
            ("ß€".as_bytes(), &[]),
            (b"\x1b[200;", &[]),
        ];
        for (bytes, expected) in table {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_key_that_comes_in_two_pieces_is_waited_for() {
        for cut in [&b"\x1b"[..], b"\x1b[", b"\x1bO", b"\x1b[5", b"j\x1b"] {
            assert!(is_cut_off(cut), "{cut:?}");
        }
        for whole in [&b""[..], b"q", b"\x1b[A", b"\x1bOA", b"\x1b[5~", b"\x1bs"] {
            assert!(!is_cut_off(whole), "{whole:?}");
        }
    }
}
