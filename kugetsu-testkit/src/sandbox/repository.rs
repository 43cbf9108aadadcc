use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small git repository with a history, for tests.
///
/// Its commits are the same each time, down to their ids, and no configuration of the machine
/// reaches it.
#[derive(Debug, Clone)]
pub struct SampleRepository {
    path: PathBuf,
}

impl SampleRepository {
    /// Makes a repository in `directory` with a branch `main` and one commit, a `README.md`.
    pub fn new(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let sample = Self { path: directory.canonicalize()? };
        sample.git(&["init", "--quiet", "--template=", "--initial-branch=main"])?;
        for (name, value) in [
            ("user.name", "Sample"),
            ("user.email", "sample@example.invalid"),
            // A process in the background would outlive the test.
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
        ] {
            sample.git(&["config", name, value])?;
        }
        sample.commit("README.md", "# Sample\n", "start")?;
        Ok(sample)
    }

    /// Makes a repository with `count` commits; each after the first adds a file `file-N.txt`.
    pub fn with_commits(directory: &Path, count: usize) -> io::Result<Self> {
        let sample = Self::new(directory)?;
        for number in 2..=count {
            sample.commit(
                &format!("file-{number}.txt"),
                &format!("{number}\n"),
                &format!("add file {number}"),
            )?;
        }
        Ok(sample)
    }

    /// The repository that is at `directory` already, or the worktree of one.
    pub fn at(directory: &Path) -> io::Result<Self> {
        Ok(Self { path: directory.canonicalize()? })
    }

    /// Its directory, canonical.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, commits it and returns the commit's id.
    pub fn commit(&self, file: &str, text: &str, message: &str) -> io::Result<String> {
        let path = self.path.join(file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, text)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        self.head()
    }

    /// The id of the commit that is checked out.
    pub fn head(&self) -> io::Result<String> {
        self.git(&["rev-parse", "HEAD"])
    }

    /// The subjects of the commits reachable from `revision`, newest first.
    pub fn subjects(&self, revision: &str) -> io::Result<Vec<String>> {
        Ok(self.git(&["log", "--format=%s", revision])?.lines().map(str::to_owned).collect())
    }

    /// Runs git in this repository and returns what it prints, trimmed.
    pub fn git(&self, arguments: &[&str]) -> io::Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.path)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &self.path)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let what = arguments.join(" ");
            return Err(io::Error::other(format!("git {what} failed: {}", said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
