//! The user's own `git`, started so that it asks nobody, and reads the user's configuration and ours
//! only.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kugetsu_core::{Retry, WorktreeError};
use tokio::process::Command;

use crate::fault::backend;
use crate::lock::Lock;
use crate::scratch::Scratch;
use crate::settings::Told;

/// How long one command may take: enough for a large clone, not for ever.
const PATIENCE: Duration = Duration::from_hours(1);

/// What we say louder than any configuration.
const SETTINGS: [&str; 16] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "index.skipHash=false",
    "index.sparse=false",
    "checkout.workers=0",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=120",
];

/// The variables of git that are the user's way to say who they are and where the world is. All
/// others would point this git at something else.
const KEPT: [&str; 13] = [
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_PROXY_COMMAND",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
];

/// How git is started.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    pub(crate) program: OsString,
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// What it has told of the user's settings.
    pub(crate) told: Told,
}

/// How a git that was started ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    /// Standard output.
    pub(crate) out: String,
    /// The lines of standard error that say what is wrong, in one line, without secrets.
    pub(crate) fault: String,
}

impl Git {
    pub(crate) fn new() -> Self {
        Self { program: "git".into(), variables: Vec::new(), told: Told::default() }
    }

    /// Runs git in `directory` with a git directory of our own. `lock` stays held until it is gone.
    /// Dropping the future ends it.
    pub(crate) async fn run<A: AsRef<OsStr>>(
        &self,
        scratch: &Scratch,
        directory: &Path,
        variables: &[(&str, &Path)],
        arguments: &[A],
        lock: &Lock,
    ) -> Result<Said, WorktreeError> {
        let told = || format!("run {}", self.program.to_string_lossy());
        let held = lock.share().map_err(|error| backend(told(), Retry::Later, error))?;
        let mut command = self.command(directory, scratch);
        command.envs(variables.iter().copied()).args(arguments);
        // The file is empty, so git reads as from /dev/null and holds the lock while it lives.
        command.stdin(Stdio::from(held)).kill_on_drop(true);
        let output = match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => {
                let operation = format!("{}: install git, or put it on the PATH", told());
                return Err(backend(operation, Retry::Never, error));
            }
            Ok(Err(error)) => return Err(backend(told(), Retry::Later, error)),
            Err(_) => {
                let why = format!("it did not end within {} minutes", PATIENCE.as_secs() / 60);
                return Err(backend(told(), Retry::Later, why));
            }
        };
        Ok(Said {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            fault: fault_in(&String::from_utf8_lossy(&output.stderr)),
        })
    }

    fn command(&self, directory: &Path, scratch: &Scratch) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("GIT_") && !KEPT.contains(&&*name_text) {
                command.env_remove(&name);
            }
        }
        command
            .current_dir(directory)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("GIT_DIR", &scratch.path)
            .env("GIT_OBJECT_DIRECTORY", &scratch.objects)
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_TERMINAL_PROMPT", "0")
            // ssh asks a program that refuses, instead of a terminal where nobody sits.
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("GCM_INTERACTIVE", "never")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("LC_ALL", "C");
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        command
    }
}

/// The longest fault that is told, in characters.
const LONGEST: usize = 600;

fn fault_in(stderr: &str) -> String {
    let lines: Vec<String> = stderr
        .lines()
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    let telling = |line: &&String| {
        ["fatal:", "error:", "remote:", "ERROR:", "ssh:"].iter().any(|word| line.starts_with(word))
            || line.contains("ermission denied")
            || line.contains("verification failed")
    };
    let told: Vec<&String> = lines.iter().filter(telling).collect();
    let told: Vec<&str> = if told.is_empty() {
        lines.iter().rev().take(3).rev().map(String::as_str).collect()
    } else {
        told.into_iter().map(String::as_str).collect()
    };
    let text = without_secrets(&told.join("; "));
    if text.is_empty() {
        return "git failed and said nothing".into();
    }
    text.chars().take(LONGEST).collect()
}

/// The text without whatever stands between `://` and `@`: the user's own configuration may rewrite
/// an address to one with a token in it.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '\'' | '"'))
            .unwrap_or(after.len());
        let (host, behind) = after.split_at(end);
        clean.push_str(host.rsplit_once('@').map_or(host, |(_, name)| name));
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_told_without_secrets_and_control_characters() {
        let said =
            "Cloning...\n\u{1b}fatal: unable to access 'https://me:hunter2@h.example/a': 403\n";
        assert_eq!(fault_in(said), "fatal: unable to access 'https://h.example/a': 403");
        assert_eq!(fault_in("a\nb\nc\nd\n"), "b; c; d");
        assert_eq!(fault_in(""), "git failed and said nothing");
    }
}
