//! The sample plugin keeps the promises of a worktree provider.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kugetsu_core::{RepoRef, WorktreeProvider};
use kugetsu_plugin::{Plugin, PluginConfig, PluginWorktrees};
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::WorktreeFixture;
use tempfile::TempDir;

struct Sample {
    root: TempDir,
    sources: Arc<Mutex<BTreeMap<RepoRef, SampleRepository>>>,
}

impl Sample {
    fn new() -> Self {
        Self { root: TempDir::new().unwrap(), sources: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }
}

#[async_trait]
impl WorktreeFixture for Sample {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/plugins/worktrees.py");
        let config = PluginConfig::new("sample", "python3", self.path("plugin"))
            .with_arguments([program])
            .with_guard(crate::fake::guard())
            .with_variable("GIT_CONFIG_GLOBAL", "/dev/null")
            .with_variable("GIT_CONFIG_NOSYSTEM", "1");
        let (sources, nowhere) = (Arc::clone(&self.sources), self.path("nowhere"));
        let from = move |repository: &RepoRef| {
            let sources = sources.lock().unwrap();
            let path = sources.get(repository).map_or(nowhere.as_path(), SampleRepository::path);
            Ok(path.to_str().unwrap().to_owned())
        };
        Arc::new(PluginWorktrees::new(Plugin::new(config)).with_sources(from))
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

kugetsu_testkit::worktree_provider_conformance!(Sample::new());
