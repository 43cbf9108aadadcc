//! Attributes that could change what is written.

/// Longer files are not looked at.
const LONGEST: usize = 256 * 1024;

/// Whether no attribute in the text can change a byte of a file that is checked out.
///
/// Each word is looked at, be it in a pattern, a comment or a macro's definition: what looks like
/// such an attribute is taken for one.
pub(super) fn are_plain(text: &[u8]) -> bool {
    // A quoted pattern need not be followed by a space.
    if text.len() > LONGEST || text.contains(&b'"') || text.contains(&0) {
        return false;
    }
    text.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).all(is_plain)
}

fn is_plain(word: &[u8]) -> bool {
    let (name, value) = match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (&word[..at], &word[at + 1..]),
        None => (word, &[][..]),
    };
    match name {
        b"eol" => value == b"lf",
        b"crlf" | b"filter" | b"ident" | b"working-tree-encoding" => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::are_plain;

    #[test]
    fn what_could_change_a_byte_is_not_plain() {
        for plain in [
            "",
            "* text=auto\n*.png binary\n",
            "* text=auto eol=lf\n*.sh -filter !ident -crlf\n",
            "[attr]doc -text diff=html\n*.html doc linguist-vendored=true\n# no more\n",
        ] {
            assert!(are_plain(plain.as_bytes()), "{plain}");
        }
        for other in [
            "*.bat eol=crlf",
            "*\tfilter=lfs diff=lfs",
            "*.c ident",
            "[attr]big filter=lfs",
            "*.txt crlf=input",
            "*.txt crlf",
            "a working-tree-encoding=UTF-16",
            "\"a b\"eol=crlf",
            "x\0 y",
            "* eol",
        ] {
            assert!(!are_plain(other.as_bytes()), "{other}");
        }
    }
}
