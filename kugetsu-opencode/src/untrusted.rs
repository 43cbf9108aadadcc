//! Whether a directory's own files would run code inside opencode itself.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::agent::AgentError;
use kugetsu_core::error::Retry;
use rustix::fs::OFlags;

use crate::{fault, quirks};

/// What is larger is not looked through.
const LARGEST: u64 = 1 << 20;

/// Refuses a directory in which opencode would load somebody's code, though it is told not to read
/// the repository's settings: see [`quirks::PLUGIN_DIRECTORIES`].
///
/// `directory` is absolute. What is in `home` itself is the user's own, unless that is the
/// directory.
pub(crate) fn refuse_plugins(directory: &Path, home: Option<&Path>) -> Result<(), AgentError> {
    let Some(file) = plugin_in(directory, home) else { return Ok(()) };
    Err(fault::backend(
        format!("work in {}", directory.display()),
        Retry::Never,
        format!(
            "opencode will not work in {}: its {} would run code inside opencode itself; remove \
             it from the branch, or trust the repository's own settings (`trust_project_config`)",
            directory.display(),
            file.strip_prefix(directory).unwrap_or(&file).display(),
        ),
    ))
}

/// The first file or directory that opencode would load code by, from the directory up to the
/// root of its repository; without a repository, up to the root of all.
fn plugin_in(directory: &Path, home: Option<&Path>) -> Option<PathBuf> {
    for place in directory.ancestors() {
        if place == directory || Some(place) != home {
            let loaded = quirks::PLUGIN_DIRECTORIES.iter().map(|name| place.join(name));
            let settings = quirks::PROJECT_CONFIGS.iter().map(|name| place.join(name));
            let found = loaded
                .filter(|path| holds_anything(path))
                .chain(settings.filter(|path| may_name_plugins(path)))
                .next();
            if found.is_some() {
                return found;
            }
        }
        if place.join(".git").symlink_metadata().is_ok() {
            return None;
        }
    }
    None
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn holds_anything(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => !is_absent(&error),
    }
}

/// What cannot be looked through may.
fn may_name_plugins(file: &Path) -> bool {
    // A pipe must not keep us waiting.
    let waiting = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = match OpenOptions::new().read(true).custom_flags(waiting).open(file) {
        Ok(opened) => opened,
        Err(error) => return !is_absent(&error),
    };
    let mut text = Vec::new();
    let is_read = opened.metadata().is_ok_and(|about| about.is_file())
        && opened.take(LARGEST + 1).read_to_end(&mut text).is_ok_and(|read| read as u64 <= LARGEST);
    !is_read || names_plugins(&String::from_utf8_lossy(&text))
}

/// Whether a JSON with comments has such a key; it may say yes where it is only a value.
fn names_plugins(text: &str) -> bool {
    let text = unescaped(text);
    text.contains("\"plugin\"") || text.contains("\"plugins\"") || has_written_key(&text)
}

/// Whether a key is made of something that opencode replaces before it reads the text.
fn has_written_key(text: &str) -> bool {
    ["{env:", "{file:"].iter().any(|opening| {
        text.match_indices(opening).any(|(at, _)| {
            let rest = text[at..].split_once('}').map_or("", |(_, rest)| rest);
            let after = rest.split_once('"').map_or("", |(_, after)| after.trim_start());
            !after.starts_with([',', '}', ']'])
        })
    })
}

/// The text with every `\uXXXX` of ASCII as the character that it is.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(code) = code.filter(u8::is_ascii) {
            plain.push(char::from(code));
            plain.push_str(&part[4..]);
        } else {
            plain.push_str("\\u");
            plain.push_str(part);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_load_code_is_found_wherever_opencode_looks() {
        let large = " ".repeat(usize::try_from(LARGEST).unwrap() + 1);
        let plugin = r#"{"plugin": ["./x.js"]}"#;
        let cases: &[(&str, &str, bool)] = &[
            ("README.md", plugin, false),
            (".opencode/agent/a.md", plugin, false),
            (".opencode/plugin", "a file", false),
            (".opencode", "a file", false),
            (".opencode/plugin/e.js", "", true),
            (".opencode/plugins/deep/e.ts", "", true),
            ("opencode.json", "{}", false),
            ("opencode.json", r#"{"model": "a/b", "username": "plugin user"}"#, false),
            ("opencode.json", r#"{"key": "{env:KEY}", "other": "{file:k}" }"#, false),
            ("opencode.json", plugin, true),
            ("opencode.jsonc", "{ /* \" */ \"plugins\" // :\n : [\"x\"], }", true),
            (".opencode/opencode.json", plugin, true),
            (".opencode/opencode.jsonc", plugin, true),
            ("opencode.json", r#"{"\u0070lug\u0069n": ["x"]}"#, true),
            ("opencode.json", r#"{"plu{env:NOTHING}gin": ["x"]}"#, true),
            ("opencode.json", r#"{"plu{env:A",}gin": ["x"]}"#, true),
            ("opencode.json", r#"{"{file:./k}" : ["x"]}"#, true),
            ("opencode.json", "\u{feff}{\"plugin\":[]}", true),
            ("opencode.json", &large, true),
            ("opencode.json/is/a/directory", "", true),
            ("above", "", false),
        ];
        for (name, text, is_found) in cases {
            let root = tempfile::tempdir().unwrap();
            let file = root.path().join(name);
            let below = root.path().join("below/it");
            fs::create_dir_all(root.path().join(".git")).unwrap();
            fs::create_dir_all(&below).unwrap();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            for directory in [root.path(), &below] {
                let found = plugin_in(directory, None);
                assert_eq!(found.is_some(), *is_found, "{name}: {text:.80}: {found:?}");
            }
            // What is above a repository is none of it.
            fs::create_dir(below.join(".git")).unwrap();
            assert_eq!(plugin_in(&below, None), None, "{name}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_a_home_is_the_users_own() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("home");
        let work = home.join("work");
        fs::create_dir_all(&work).unwrap();
        let pipe = home.join("opencode.json");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        assert_eq!(plugin_in(&work, None), Some(pipe.clone()));
        assert_eq!(plugin_in(&work, Some(&home)), None);
        assert_eq!(plugin_in(&home, Some(&home)), Some(pipe));
    }
}
