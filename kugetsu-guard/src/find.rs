//! Finding a program before it is started.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a program cannot be found. Says it without the program's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotFound {
    /// Nothing is at its path.
    #[error("there is no such file")]
    NoFile,
    /// What is there is no file that may be executed.
    #[error("it is not a program")]
    NoProgram,
    /// No directory of `PATH` has it.
    #[error("it is not on PATH")]
    NotOnPath,
    /// Its path cannot be made absolute.
    #[error("its path cannot be told: {0}")]
    Io(#[from] io::Error),
}

/// The program: a path as it is, a name in the directories of `path`. Those that are not absolute are
/// passed over, since an agent may write where they lead.
///
/// # Errors
///
/// If there is no file there that may be executed.
pub fn find_program(program: &Path, path: Option<&OsStr>) -> Result<PathBuf, NotFound> {
    if program.components().count() > 1 {
        let path = std::path::absolute(program)?;
        return match path.metadata() {
            Ok(_) if is_program(&path) => Ok(path),
            Ok(_) => Err(NotFound::NoProgram),
            Err(_) => Err(NotFound::NoFile),
        };
    }
    env::split_paths(path.unwrap_or_default())
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
        .ok_or(NotFound::NotOnPath)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_what_may_be_executed_is_a_program_and_only_in_absolute_directories() {
        let home = tempfile::tempdir().unwrap();
        let (tool, text) = (home.path().join("tool"), home.path().join("text"));
        for (path, mode) in [(&tool, 0o755), (&text, 0o644)] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = env::join_paths(["relative".as_ref(), home.path()]).unwrap();
        let find = |program: &str| find_program(Path::new(program), Some(&path));
        assert_eq!(find("tool").unwrap(), tool);
        assert_eq!(find(tool.to_str().unwrap()).unwrap(), tool);
        assert!(matches!(find("text"), Err(NotFound::NotOnPath)));
        assert!(matches!(find(text.to_str().unwrap()), Err(NotFound::NoProgram)));
        assert!(matches!(find(home.path().to_str().unwrap()), Err(NotFound::NoProgram)));
        assert!(matches!(find("./no/such"), Err(NotFound::NoFile)));
        assert!(matches!(find_program(Path::new("tool"), None), Err(NotFound::NotOnPath)));
    }
}
