//! The env files: variables for agents, and the secrets that settings name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use kugetsu_queue::Mask;

use crate::errors::CliError;
use crate::paths::Paths;

/// Names that contain one of these hold secrets.
const SECRET: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "API_KEY"];

/// Variables of the env files. It holds secrets and has no `Debug`.
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of `default.env`, and over them those of another file, such as `pm-agent`.
    pub(crate) fn read(paths: &Paths, over: Option<&str>) -> Result<Self, CliError> {
        let mut all = BTreeMap::new();
        for name in std::iter::once("default").chain(over) {
            let path = paths.env().join(format!("{name}.env"));
            if let Some(text) = text(&path)? {
                parse(&path, &text, &mut all)?;
            }
        }
        Ok(Self(all))
    }

    /// The variable of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values that nobody may see.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.as_str())
    }
}

/// Masks every secret that agents may come across: those of the env files, those of kugetsu's own
/// environment, and the variables of these names in either.
pub(crate) fn mask<'a>(
    paths: &Paths,
    environment: &BTreeMap<OsString, OsString>,
    named: impl Iterator<Item = &'a str>,
) -> Result<Mask, CliError> {
    let files = [Variables::read(paths, None)?, Variables::read(paths, Some("pm-agent"))?];
    let named: Vec<&str> = named
        .flat_map(|name| {
            let own = environment.get(OsStr::new(name)).and_then(|value| value.to_str());
            files.iter().filter_map(move |file| file.get(name)).chain(own)
        })
        .collect();
    let of_files = files.iter().flat_map(Variables::secrets).chain(named);
    let own = environment.iter().filter(|(name, _)| is_secret(&name.to_string_lossy()));
    Ok(Mask::new(of_files.chain(own.filter_map(|(_, value)| value.to_str()))))
}

/// Whether a variable of this name holds a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|part| name.contains(part))
}

fn text(path: &Path) -> Result<Option<String>, CliError> {
    let told = |error: io::Error| CliError::io(format_args!("read {}", path.display()), &error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let mode = file.metadata().map_err(told)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let message = format!("{} can be read by others (mode {mode:o})", path.display());
        return Err(CliError::config(message).hint(format!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(told)?;
    Ok(Some(text))
}

/// Adds what the text says, and names nothing of it in an error but the place.
fn parse(path: &Path, text: &str, all: &mut BTreeMap<String, String>) -> Result<(), CliError> {
    for pair in dotenvy::from_read_iter(text.as_bytes()) {
        let (name, value) = pair.map_err(|error| {
            let place = match &error {
                dotenvy::Error::LineParse(line, _) => line_of(text, line),
                _ => None,
            };
            let place = place.map_or(String::new(), |line| format!(":{line}"));
            CliError::config(format!("{}{place}: no variable stands there", path.display()))
                .hint("a line is: export NAME=\"value\"")
        })?;
        all.insert(name, value);
    }
    Ok(())
}

fn line_of(text: &str, line: &str) -> Option<usize> {
    text.lines().position(|other| other.trim() == line.trim()).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.env");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (home, path)
    }

    #[test]
    fn variables_are_read_and_never_told() {
        let lines = "# all\nexport GITHUB_TOKEN=\"a b\"\nPLAIN='it is $HOME'\n";
        let (_home, path) = written(lines, 0o600);
        let mut all = BTreeMap::new();
        parse(&path, &text(&path).unwrap().unwrap(), &mut all).unwrap();
        let variables = Variables(all);
        assert_eq!(variables.get("GITHUB_TOKEN"), Some("a b"));
        assert_eq!(variables.get("PLAIN"), Some("it is $HOME"));
        assert_eq!(variables.secrets().collect::<Vec<_>>(), ["a b"]);
        let wrong = parse(&path, "export A=\"1\"\nhunter2 is it\n", &mut BTreeMap::new());
        let told = wrong.unwrap_err().told(false);
        assert!(told.contains("x.env:2") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_home, path) = written("A=1", 0o640);
        let told = text(&path).unwrap_err().told(false);
        assert!(told.contains("mode 640") && told.contains("chmod 600"), "{told}");
    }
}
