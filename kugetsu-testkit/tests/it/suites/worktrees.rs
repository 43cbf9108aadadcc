use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use kugetsu_core::{RepoRef, WorktreeProvider};
use kugetsu_testkit::fake::FakeWorktrees;
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::WorktreeFixture;
use tempfile::TempDir;

pub(crate) struct Fake {
    root: TempDir,
    sources: Mutex<BTreeMap<RepoRef, SampleRepository>>,
    provider: OnceLock<FakeWorktrees>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self { root: TempDir::new().unwrap(), sources: Mutex::default(), provider: OnceLock::new() }
    }

    pub(crate) fn any_source(&self) -> Option<SampleRepository> {
        self.sources.lock().unwrap().values().next().cloned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }
}

#[async_trait]
impl WorktreeFixture for Fake {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let sources = self.sources.lock().unwrap();
        let opened = || {
            let provider = FakeWorktrees::new(self.path("kugetsu"));
            sources.iter().fold(provider, |provider, (repository, source)| {
                provider.with_source(repository.clone(), source.path())
            })
        };
        Arc::new(self.provider.get_or_init(opened).clone())
    }

    async fn source(&self, repository: &RepoRef) -> SampleRepository {
        let mut sources = self.sources.lock().unwrap();
        let path = self.path(&format!("source-{}", sources.len()));
        let source = sources.entry(repository.clone());
        source.or_insert_with(|| SampleRepository::with_commits(&path, 3).unwrap()).clone()
    }

    fn missing(&self) -> RepoRef {
        "git.example/no/where".parse().unwrap()
    }
}

kugetsu_testkit::worktree_provider_conformance!(Fake::new());
