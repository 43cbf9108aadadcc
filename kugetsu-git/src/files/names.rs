//! Names in trees that are more than names.

/// Whether a file or directory of the name may be made as it is. What git may refuse, on this or
/// another system, is refused here, and what only looks like it too: git then says what it thinks.
pub(super) fn is_plain(name: &[u8], is_link: bool) -> bool {
    if name.is_empty() || name.len() > 255 || name == b"." || name == b".." {
        return false;
    }
    if name.iter().any(|byte| matches!(byte, 0 | b'/' | b'\\')) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with(b"git~") || (lower[0] == b'.' && has_invisible(&lower)) {
        return false;
    }
    let Some(rest) = lower.strip_prefix(b".git") else { return !is_link || !has_tilde(&lower) };
    // `.gitignore` and `.github` are names like others, `.git ` and `.git::$INDEX` are not; and no
    // link may stand where git reads its own settings.
    !is_link
        && rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
}

/// Whether letters are in it that some file systems do not see.
fn has_invisible(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, 0xe2 | 0xef))
}

fn has_tilde(name: &[u8]) -> bool {
    name.starts_with(b"gi") && name.contains(&b'~')
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_that_are_more_than_names_are_left_to_git() {
        for name in ["a", ".gitignore", ".github", ".git-blame-ignore-revs", "...", "git", "\u{e4}"]
        {
            assert!(is_plain(name.as_bytes(), false), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".git",
            ".GIT",
            ".Git",
            ".git ",
            ".git.",
            ".git::$INDEX_ALLOCATION",
            "git~1",
            "GIT~2",
            "a/b",
            "a\\b",
            "a\0b",
            ".g\u{200c}it",
            "/",
        ] {
            assert!(!is_plain(name.as_bytes(), false), "{name}");
        }
        for name in [".gitmodules", ".gitattributes", "gitmod~1", "GI7EBA~1"] {
            assert!(!is_plain(name.as_bytes(), true), "{name}");
        }
        assert!(!is_plain(&[b'a'; 256], false));
    }
}
