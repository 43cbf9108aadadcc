//! Which opencode there is, and whether it could run now.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kugetsu_core::agent::{AgentError, AgentInfo};
use kugetsu_guard::find_program;
use tokio::io::AsyncReadExt as _;

use crate::quirks;

/// How to get opencode, said wherever it is missing.
const INSTALL: &str = "install it with `npm install -g opencode-ai` or from https://opencode.ai, \
                       or say where it is";
/// A first start after an installation reads much from the disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer to the question for its version, in bytes, that is listened to.
const LONGEST: u64 = 4096;

/// Finds the program: a path as it is, a name on `PATH`.
pub(crate) fn find(program: &Path) -> Result<PathBuf, AgentError> {
    let missing = |why: &str| AgentError::Missing {
        program: program.display().to_string(),
        why: format!("{why}; {INSTALL}"),
    };
    find_program(program, env::var_os("PATH").as_deref()).map_err(|why| missing(&why.to_string()))
}

/// Asks the program for its version.
pub(crate) async fn version(program: &Path) -> Result<String, AgentError> {
    let missing = |why: String| AgentError::Missing { program: program.display().to_string(), why };
    let (said, succeeded) = match tokio::time::timeout(PATIENCE, ask(program)).await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => return Err(missing(format!("it could not be started: {error}"))),
        Err(_) => return Err(missing("it did not tell its version in time".into())),
    };
    let said = String::from_utf8_lossy(&said);
    let version = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    if succeeded && parsed(version).is_some() {
        return Ok(version.trim_start_matches('v').to_owned());
    }
    let version: String = version.chars().take(80).collect();
    Err(missing(format!("it does not seem to be opencode: it told {version:?} as its version")))
}

/// What the program says when it is asked, as far as a version can be long, and whether it ended
/// well. One that says more is killed.
async fn ask(program: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut child = tokio::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LONGEST).read_to_end(&mut said).await?;
    }
    if said.len() as u64 == LONGEST {
        return Ok((said, false));
    }
    Ok((said, child.wait().await?.success()))
}

/// What there is, and what is the matter with it.
pub(crate) fn info(program: &Path, version: &str) -> AgentInfo {
    let info = AgentInfo::new(program.display().to_string(), version);
    let (major, minor) = quirks::OLDEST;
    match parsed(version) {
        Some(found) if found >= quirks::OLDEST => info,
        _ => info.with_trouble(format!(
            "opencode {version} is too old: kugetsu needs {major}.{minor} or newer; upgrade it with \
             `opencode upgrade`"
        )),
    }
}

fn parsed(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_version_is_trouble_and_a_new_one_is_not() {
        let trouble = |version: &str| info(Path::new("opencode"), version).trouble;
        assert!(trouble("1.17.11").unwrap().contains("too old"));
        assert_eq!(trouble("1.18.33"), None);
        assert_eq!(trouble("1.18.0-beta.1"), None);
        assert_eq!(trouble("2.0.0"), None);
    }
}
