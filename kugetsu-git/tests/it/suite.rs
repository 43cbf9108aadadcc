//! The promises of every `WorktreeProvider`, kept by this one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{RepoRef, WorktreeProvider};
use kugetsu_git::{GitWorktrees, InvalidSource, Source, Sources};
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::WorktreeFixture;
use tempfile::TempDir;

use crate::ground::hermetic;

struct Place(TempDir);

/// Each repository comes from a directory of its own below this one.
#[derive(Debug)]
struct Below(PathBuf);

impl Below {
    fn path(&self, repository: &RepoRef) -> PathBuf {
        // Components hold no `+`, so that two repositories cannot meet.
        self.0.join(repository.to_string().replace('/', "+"))
    }
}

impl Sources for Below {
    fn source(&self, repository: &RepoRef) -> Result<Source, InvalidSource> {
        Source::parse(&self.path(repository).display().to_string())
    }
}

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn sources(&self) -> Below {
        Below(self.path().join("sources"))
    }
}

#[async_trait]
impl WorktreeFixture for Place {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let (worktrees, repos) = (self.path().join("worktrees"), self.path().join("repos"));
        let worktrees = GitWorktrees::new(worktrees, repos, Arc::new(self.sources()));
        Arc::new(hermetic(worktrees, self.path()))
    }

    async fn source(&self, repository: &RepoRef) -> SampleRepository {
        let path = self.sources().path(repository);
        if fs::exists(&path).unwrap() {
            return SampleRepository::at(&path).unwrap();
        }
        SampleRepository::with_commits(&path, 3).unwrap()
    }

    fn missing(&self) -> RepoRef {
        "git.example/nobody/nothing".parse().unwrap()
    }
}

kugetsu_testkit::worktree_provider_conformance!(Place(tempfile::tempdir().unwrap()));
