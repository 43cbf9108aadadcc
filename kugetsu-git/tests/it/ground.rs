//! What every test stands on: a remote with a history, and a provider of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kugetsu_core::{
    IssueRef, RepoRef, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec, WorktreeStatus,
};
use kugetsu_git::{GitWorktrees, HttpsSources, RepositoryMap, Source};
use kugetsu_testkit::sandbox::SampleRepository;
use tempfile::TempDir;

pub(crate) const REPOSITORY: &str = "git.example/acme/widgets";

pub(crate) struct Ground {
    directory: TempDir,
    /// The operator's own checkout, with three commits on `main`.
    pub(crate) remote: SampleRepository,
    pub(crate) worktrees: GitWorktrees,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let remote = SampleRepository::with_commits(&directory.path().join("remote"), 3).unwrap();
        let worktrees = provider(directory.path(), remote.path().to_str().unwrap());
        let list = format!("{{\"{REPOSITORY}\": \"{}\"}}", remote.path().display());
        fs::write(directory.path().join("repos.json"), list).unwrap();
        Self { directory, remote, worktrees }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    /// Another provider of the same worktrees, whose clones come from `address`.
    pub(crate) fn from(&self, address: &str) -> GitWorktrees {
        provider(self.directory.path(), address)
    }

    /// The same as another process would have it.
    pub(crate) fn again(&self) -> GitWorktrees {
        self.from(self.remote.path().to_str().unwrap())
    }

    pub(crate) fn clone(&self) -> PathBuf {
        self.path().join("repos").join(format!("{REPOSITORY}.git"))
    }

    pub(crate) fn tree(&self, number: u64) -> PathBuf {
        self.path().join("worktrees").join(issue(number).stem())
    }

    pub(crate) fn entry(&self, number: u64) -> PathBuf {
        self.clone().join("worktrees").join(issue(number).stem())
    }

    pub(crate) async fn prepare(&self, number: u64) -> Worktree {
        self.try_prepare(number).await.unwrap()
    }

    pub(crate) async fn try_prepare(&self, number: u64) -> Result<Worktree, WorktreeError> {
        self.worktrees.prepare(&WorktreeSpec::new(issue(number))).await
    }

    pub(crate) async fn inspect(&self, number: u64) -> Option<WorktreeStatus> {
        self.worktrees.inspect(&issue(number)).await.unwrap()
    }

    /// Nothing is where worktrees are but what waits to be deleted, and that is deleted at once if
    /// somebody asks for it.
    pub(crate) async fn nothing_is_left(&self) {
        let place = self.path().join("worktrees");
        let names = || {
            let all = fs::read_dir(&place).unwrap();
            all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let is_gone = |name: &String| Path::new(name).extension().is_some_and(|end| end == "gone");
        let left: Vec<_> = names().into_iter().filter(|name| !is_gone(name)).collect();
        assert_eq!(left, Vec::<String>::new());
        assert_eq!(self.worktrees.recover().await.unwrap(), Vec::<String>::new());
        assert_eq!(names(), Vec::<String>::new());
    }

    /// Names below the two roots that are neither worktrees, clones nor locks.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let mut names = Vec::new();
        let owner = self.clone().parent().unwrap().to_owned();
        for directory in [self.path().join("worktrees"), owner, self.clone().join("kugetsu")] {
            for entry in fs::read_dir(directory).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let kind = Path::new(&name).extension().unwrap_or_default();
                let hidden = name.starts_with('.')
                    && !["lock", "last", "gone"].contains(&kind.to_str().unwrap());
                if hidden || kind == "new" || (name.starts_with("git.example") && kind == "git") {
                    names.push(name);
                }
            }
        }
        names
    }
}

fn provider(directory: &Path, address: &str) -> GitWorktrees {
    let repository: RepoRef = REPOSITORY.parse().unwrap();
    let sources = RepositoryMap::new(Arc::new(HttpsSources))
        .with(repository, Source::parse(address).unwrap());
    hermetic(
        GitWorktrees::new(directory.join("worktrees"), directory.join("repos"), Arc::new(sources)),
        directory,
    )
}

pub(crate) fn hermetic(worktrees: GitWorktrees, home: &Path) -> GitWorktrees {
    worktrees
        .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
        .with_variable("GIT_CONFIG_NOSYSTEM", "1")
        .with_variable("HOME", home)
}

pub(crate) fn issue(number: u64) -> IssueRef {
    format!("{REPOSITORY}#{number}").parse().unwrap()
}

/// Runs git as an agent does in `directory`; gives what it prints, trimmed.
pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Agent", "-c", "user.email=agent@example.invalid"])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {}: {said}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Commits a file as an agent does.
pub(crate) fn commit(tree: &Path, file: &str) -> String {
    fs::write(tree.join(file), "work\n").unwrap();
    git(tree, &["add", "--all"]);
    git(tree, &["commit", "--quiet", "--message", "work"]);
    git(tree, &["rev-parse", "HEAD"])
}

/// All files below `directory`, with modes and contents.
pub(crate) fn picture(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            all.insert(path.clone(), (found.permissions().mode(), Vec::new()));
            all.extend(picture(&path));
        } else {
            all.insert(path.clone(), (found.permissions().mode(), fs::read(&path).unwrap()));
        }
    }
    all
}

/// An executable script.
pub(crate) fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program that is git, notes each command, and refuses `refused`; and what it has noted.
pub(crate) struct Noting {
    pub(crate) program: PathBuf,
    notes: PathBuf,
}

impl Noting {
    pub(crate) fn new(ground: &Ground, refused: &str) -> Self {
        let (program, notes) = (ground.path().join("noting/git"), ground.path().join("notes"));
        let text = format!(
            "#!/bin/sh\n\
             for word in \"$@\"; do case \"$word\" in\n\
             fetch|ls-remote|var|read-tree) echo \"$word\" >> '{}'\n\
             [ \"$word\" = '{refused}' ] && exit 97;;\n\
             esac; done\n\
             exec git \"$@\"\n",
            notes.display()
        );
        script(&program, &text);
        Self { program, notes }
    }

    /// The commands since the last call.
    pub(crate) fn taken(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.notes).unwrap_or_default();
        let _ = fs::remove_file(&self.notes);
        text.lines().map(str::to_owned).collect()
    }
}
