//! Which session works where, since a program is asked for one only where it works.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use kugetsu_core::ids::AgentSessionId;
use kugetsu_guard::files;

/// The sessions of a command agent: a directory each, named like it, with a file for each path at which
/// a program has called a session so. Whoever takes a name that another issue's session has takes
/// nothing away from it, and nobody waits for anybody.
#[derive(Debug, Clone)]
pub(super) struct Known(PathBuf);

/// The longest name of a file.
const LONGEST: usize = 250;

impl Known {
    /// The sessions in this directory, which is made if it is not there.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(Self(directory))
    }

    /// Where there is a session of this name; nowhere if there is none.
    pub(super) fn directories(&self, session: &AgentSessionId) -> io::Result<Vec<PathBuf>> {
        Ok(self.entries(session)?.into_iter().map(|(_, directory)| directory).collect())
    }

    /// Records where the session works. It is there whole or not at all.
    pub(super) fn put(&self, session: &AgentSessionId, directory: &Path) -> io::Result<()> {
        let Some(place) = self.place(session) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "its name is too long"));
        };
        if self.directories(session)?.iter().any(|known| known == directory) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        let id = new_id()?;
        // No session's name begins with a point.
        let unseen = self.0.join(format!(".{id}"));
        files::private_file(&unseen)?.write_all(directory.as_os_str().as_bytes())?;
        fs::rename(unseen, place.join(id))
    }

    /// Forgets the session of this directory. Forgetting what is not there is done already.
    pub(super) fn forget(&self, session: &AgentSessionId, directory: &Path) {
        let entries = self.entries(session).unwrap_or_default();
        for (file, _) in entries.iter().filter(|(_, known)| known == directory) {
            // What is not forgotten is found out once more.
            let _ = fs::remove_file(file);
        }
    }

    fn entries(&self, session: &AgentSessionId) -> io::Result<Vec<(PathBuf, PathBuf)>> {
        let Some(place) = self.place(session) else { return Ok(Vec::new()) };
        let files = match fs::read_dir(place) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let entry = |file: io::Result<fs::DirEntry>| {
            let file = file?.path();
            let directory = PathBuf::from(OsString::from_vec(fs::read(&file)?));
            Ok((file, directory))
        };
        files.map(entry).collect()
    }

    fn place(&self, session: &AgentSessionId) -> Option<PathBuf> {
        let mut name = String::new();
        for byte in session.as_str().bytes() {
            let is_plain = byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if is_plain || byte == b'.' && !name.is_empty() {
                name.push(char::from(byte));
            } else {
                let _ = write!(name, "={byte:02x}");
            }
        }
        (name.len() <= LONGEST).then(|| self.0.join(name))
    }
}

/// An id that no other session has: a UUID of version 4, since many programs take nothing else.
pub(super) fn new_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        let _ = write!(id, "{dash}{byte:02x}");
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_name_whatever_that_is() {
        let place = tempfile::tempdir().unwrap();
        let known = Known::open(place.path().join("sessions")).unwrap();
        let odd = OsString::from_vec(b"/odd/\xff".to_vec());
        for name in ["ses_1", "../../etc/passwd", "..", ".", "a/b", "a=2fb", "A%zz", "x.y"] {
            let session = AgentSessionId::new(name).unwrap();
            assert!(known.directories(&session).unwrap().is_empty(), "{name}");
            known.put(&session, Path::new(&odd)).unwrap();
            let found = known.directories(&session).unwrap();
            assert_eq!(found, [Path::new(&odd)], "{name}");
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(place.path().join("sessions")).unwrap().count(), 8);
        let long = AgentSessionId::new("/".repeat(200)).unwrap();
        assert!(known.put(&long, Path::new("/")).is_err());
        assert!(known.directories(&long).unwrap().is_empty());
    }

    #[test]
    fn whoever_takes_the_name_of_another_session_takes_nothing_away_from_it() {
        let place = tempfile::tempdir().unwrap();
        let known = Known::open(place.path().join("sessions")).unwrap();
        let session = AgentSessionId::new("always-the-same").unwrap();
        let (one, other) = (Path::new("/issues/1"), Path::new("/issues/2"));
        for directory in [one, other, one] {
            known.put(&session, directory).unwrap();
        }
        let mut all = known.directories(&session).unwrap();
        all.sort();
        assert_eq!(all, [one, other]);
        known.forget(&session, other);
        assert_eq!(known.directories(&session).unwrap(), [one]);
        known.forget(&session, one);
        known.forget(&session, one);
        assert!(known.directories(&session).unwrap().is_empty());
    }

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        let id = new_id().unwrap();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(id, new_id().unwrap());
    }
}
