//! Reading a directory that anybody may have written: no link is followed, and nothing is so large
//! or so deep that it matters.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::Value;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 8 * 1024 * 1024;
/// How many entries of one directory are looked at.
const MOST: usize = 20_000;

/// A file as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Missing,
    Text(String),
    /// It is there and cannot be used; why.
    Unfit(String),
}

/// The directory of a bash version.
#[derive(Debug, Clone)]
pub(super) struct OldDir(PathBuf);

impl OldDir {
    /// The directory by its real name. The user may have named a link to it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        if real.is_dir() { Ok(Self(real)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Whether it looks like a bash version's.
    pub(super) fn is_old(&self) -> bool {
        let has = |name: &str| fs::symlink_metadata(self.0.join(name)).is_ok();
        !self.is_store() && (has("index.json") || has("sessions") || has("queue/items"))
    }

    /// Whether the sessions and tasks in it are our own, kept by our JSON store.
    pub(super) fn is_store(&self) -> bool {
        let shows = |text: &str| text.contains(r#""view_of": "journal.jsonl""#);
        fs::symlink_metadata(self.0.join("journal.jsonl")).is_ok()
            || matches!(self.text("index.json"), Found::Text(text) if shows(&text))
    }

    /// The file's text, without a byte order mark.
    pub(super) fn text(&self, inside: &str) -> Found {
        match self.read(inside) {
            Ok(Some(bytes)) => {
                let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
                Found::Text(String::from_utf8_lossy(bytes).into_owned())
            }
            Ok(None) => Found::Missing,
            Err(why) => Found::Unfit(why),
        }
    }

    /// The plain names in a directory, in their order, and how many are of no use: those that are
    /// not UTF-8.
    pub(super) fn names(&self, inside: &str) -> (Vec<String>, usize) {
        let is_plain = self.real(inside).is_some_and(|found| found.is_dir());
        let Some(all) = is_plain.then(|| fs::read_dir(self.0.join(inside)).ok()).flatten() else {
            return (Vec::new(), 0);
        };
        let (mut names, mut strange) = (Vec::new(), 0);
        for entry in all.flatten().take(MOST) {
            match entry.file_name().into_string() {
                Ok(name) => names.push(name),
                Err(_) => strange += 1,
            }
        }
        names.sort();
        (names, strange)
    }

    /// Whether there is a plain directory, by no link.
    pub(super) fn has_directory(&self, inside: &str) -> bool {
        self.real(inside).is_some_and(|found| found.is_dir())
    }

    /// What is there, if no part of the way to it is a link.
    fn real(&self, inside: &str) -> Option<fs::Metadata> {
        let mut path = self.0.clone();
        let mut found = None;
        for part in Path::new(inside).components() {
            path.push(part);
            found = Some(fs::symlink_metadata(&path).ok().filter(|found| !found.is_symlink())?);
        }
        found
    }

    fn read(&self, inside: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.0.join(inside);
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(found) => found,
        };
        if self.real(inside).is_none() {
            return Err("it is a link, or lies behind one, and is not followed".into());
        }
        if !found.is_file() {
            return Err("it is no file".into());
        }
        if found.len() > LONGEST {
            return Err(format!("it is larger than {} MiB", LONGEST / 1024 / 1024));
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let mut bytes = Vec::new();
        file.and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
            .map_err(|error| format!("it cannot be read: {error}"))?;
        if bytes.is_empty() {
            return Err("it is empty".into());
        }
        Ok(Some(bytes))
    }
}

/// The first value of a JSON text, and whether something stands behind it.
pub(super) fn json(text: &str) -> Result<(Value, bool), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            let rest = text.get(values.byte_offset()..).unwrap_or_default();
            let has_more = !rest.trim_matches(|c: char| c.is_whitespace() || c == '\0').is_empty();
            Ok((value, has_more))
        }
        Some(Err(error)) => Err(format!("it is no JSON (line {})", error.line())),
        None => Err("it is empty".into()),
    }
}

/// The first of these fields that holds a text worth the name.
pub(super) fn field(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let text = match value.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty() && text != "null" && text != "None" && text != "-").then_some(text)
    })
}

/// A time as the bash versions wrote it: ISO 8601 with or without a zone, or seconds.
pub(super) fn millis(text: &str) -> Option<u64> {
    let millis = if let Ok(number) = text.parse::<f64>() {
        // Numbers as large as these are milliseconds already.
        let millis = if number.abs() >= 1e11 { number } else { number * 1000.0 };
        jiff::Timestamp::from_millisecond(format!("{millis:.0}").parse().ok()?).ok()?
    } else if let Ok(time) = text.parse::<jiff::Timestamp>() {
        time
    } else {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
    };
    u64::try_from(millis.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_whatever_way_they_were_written() {
        let second = Some(1_774_872_000_000);
        for text in [
            "2026-03-30T12:00:00Z",
            "2026-03-30T14:00:00+02:00",
            "2026-03-30 12:00:00",
            "2026-03-30T12:00:00",
            "1774872000",
            "1774872000000",
        ] {
            assert_eq!(millis(text), second, "{text}");
        }
        for text in ["", "soon", "nan", "-1", "1e300"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn what_stands_behind_a_value_is_no_fault_of_it() {
        assert_eq!(json("{} \0\n").unwrap(), (serde_json::json!({}), false));
        assert_eq!(json("[1]}garbage").unwrap(), (serde_json::json!([1]), true));
        assert!(json("").is_err() && json("{\"a\":").is_err());
    }
}
