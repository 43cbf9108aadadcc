//! What must not be seen of an env file that may not be right.
//!
//! Agents get nothing of a file that others can read, or that is broken anywhere. What is in it is
//! nonetheless secret, so it is gleaned for the mask: of each line as much as there is.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::format::{self, Piece};
use super::{Variables, is_secret};

/// So much of a file is read, in bytes.
const MOST: u64 = 1 << 20;

/// So much of what is no variable is masked, in bytes.
const MOST_LOOSE: usize = 256 << 10;

/// What was found in env files.
#[derive(Default)]
pub(super) struct Gleaned {
    pub(super) files: Vec<Variables>,
    /// Texts that stand where no variable does.
    pub(super) texts: Vec<String>,
}

/// Whatever can be read of the env files in the directory, whoever else can read them.
pub(super) fn all(directory: &Path) -> Gleaned {
    let mut gleaned = Gleaned::default();
    let Ok(entries) = std::fs::read_dir(directory) else { return gleaned };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "env")
            && let Some(bytes) = bytes(&path)
        {
            glean(&bytes, &mut gleaned);
        }
    }
    gleaned
}

/// What a plain file begins with. Nothing else is opened, since opening alone may do something.
fn bytes(path: &Path) -> Option<Vec<u8>> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut bytes = Vec::new();
    // What was read before a fault is as secret.
    let _ = file.take(MOST).read_to_end(&mut bytes);
    Some(bytes)
}

fn glean(bytes: &[u8], into: &mut Gleaned) {
    let mut loose = Loose { texts: Vec::new(), room: MOST_LOOSE };
    let mut text = String::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Ok(line) = std::str::from_utf8(line) {
            text.push_str(line);
            continue;
        }
        for chunk in line.utf8_chunks() {
            loose.add(chunk.valid());
        }
        loose.behind_a_name(&String::from_utf8_lossy(line));
    }
    let mut variables = Variables::default();
    let mut is_of_secret = false;
    for piece in format::pieces(&text) {
        match piece {
            Piece::Set(set) => {
                is_of_secret = is_secret(&set.name);
                if !is_of_secret && set.value.contains('\n') {
                    // A quote that was forgotten may have swallowed other variables.
                    text[set.range].lines().for_each(|line| loose.behind_a_name(line));
                }
                variables.0.insert(set.name, set.value);
            }
            Piece::Behind(rest) if is_of_secret => loose.words(rest),
            Piece::Behind(rest) | Piece::Line(rest) => loose.line(rest),
        }
    }
    into.files.push(variables);
    into.texts.append(&mut loose.texts);
}

/// Texts of which nobody knows what they are.
struct Loose {
    texts: Vec<String>,
    /// For so many bytes more.
    room: usize,
}

impl Loose {
    fn add(&mut self, text: &str) {
        let whole = text.trim();
        for text in [whole, whole.trim_matches(['"', '\''])] {
            if !text.is_empty() && text.len() <= self.room {
                self.room -= text.len();
                self.texts.push(text.to_owned());
            }
        }
    }

    /// A line is secret as a whole, and what stands behind a name in it that holds a secret.
    fn line(&mut self, line: &str) {
        let line = line.trim();
        self.add(line.strip_prefix("export ").unwrap_or(line));
        self.behind_a_name(line);
    }

    fn behind_a_name(&mut self, line: &str) {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = line;
        while let Some(begin) = rest.find(is_of_name) {
            let word = &rest[begin..];
            let end = word.find(|c| !is_of_name(c)).unwrap_or(word.len());
            let (name, behind) = word.split_at(end);
            if is_secret(name) {
                self.words(
                    behind.trim_start_matches(|c: char| c.is_whitespace() || "=:".contains(c)),
                );
                return;
            }
            rest = behind;
        }
    }

    fn words(&mut self, text: &str) {
        self.add(text);
        for word in text.split(|c: char| c.is_whitespace() || "\"';&|<>()\u{fffd}".contains(c)) {
            self.add(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gleaned(bytes: &[u8]) -> Vec<String> {
        let mut gleaned = Gleaned::default();
        glean(bytes, &mut gleaned);
        let secrets = gleaned.files.iter().flat_map(Variables::secrets).map(str::to_owned);
        secrets.chain(gleaned.texts).collect()
    }

    #[test]
    fn whatever_is_wrong_with_a_line_its_secret_is_gleaned() {
        for (text, secret) in [
            (&b"A_TOKEN=hunter22"[..], "hunter22"),
            (b"export A_TOKEN=\"hun ter22\"", "hun ter22"),
            (b"hunter22", "hunter22"),
            (b"hunter22 is it", "hunter22 is it"),
            (b"export \"hunter22\"", "hunter22"),
            (b"A_TOKEN = \"hunter22\"", "hunter22"),
            (b"A_TOKEN: hunter22", "hunter22"),
            (b"set A_TOKEN hunter22 global", "hunter22"),
            (b"A_TOKEN=\"hunter22", "hunter22"),
            (b"A_TOKEN=hunter22; B=1", "hunter22"),
            (b"B=1; A_TOKEN=hunter22", "hunter22"),
            (b"B=1 A_TOKEN='hunter22'", "hunter22"),
            (b"A_TOKEN=\"x\" hunter22", "hunter22"),
            (b"A_TOKEN=$'\\x41' hunter22", "hunter22"),
            (b"A_TOKEN=\"first\nhunter22==\" x", "first\nhunter22=="),
            (b"A_TOKEN=\"first\nhunter22==\nlast", "hunter22=="),
            (b"B=\"open\nA_TOKEN=\"hunter22\"\nC=\"1", "hunter22"),
            (b"B=\"open\nA_TOKEN=\"hunter22\"\nC=\"1\nD=\"2\"", "hunter22"),
            (b"A_TOKEN=hunter22\xff", "hunter22"),
            (b"\xffhunter22\xff x", "hunter22"),
            (b"!\nA_TOKEN=hunter22\n(", "hunter22"),
        ] {
            let all = gleaned(text);
            let shown = String::from_utf8_lossy(text);
            assert!(all.iter().any(|one| one == secret), "{shown:?}: {all:?}");
        }
        assert_eq!(gleaned(b"# A_TOKEN=hunter22\nB=1\n\nC=\"two\nlines\"\n"), [""; 0]);
    }

    #[test]
    fn the_largest_heap_of_lines_is_gleaned_in_bounds() {
        let heap = b"A='x'y' hunter22\n".repeat(200_000);
        let all = gleaned(&heap[..1 << 20]);
        let bytes: usize = all.iter().map(String::len).sum();
        assert!(bytes <= MOST_LOOSE, "{bytes}");
    }
}
