//! Worktree providers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kugetsu_core::{RepoRef, WorktreeProvider};
use kugetsu_plugin::{Plugin, PluginConfig, PluginWorktrees};
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::{WorktreeFixture, worktrees};
use tempfile::TempDir;

use super::report::{Kept, Report};
use super::{Candidate, Chosen, fresh};
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn check(
    candidate: &Candidate,
    who: &str,
    chosen: &Chosen,
    setup: &Setup,
) -> Result<Report, CliError> {
    let names: Vec<&str> = worktrees::PROMISES.iter().map(|promise| promise.name).collect();
    let places = chosen.among(&names)?;
    let mut report = Report::begin(setup.screen(), who, "a worktree provider", places.len())?;
    for place in places {
        let promise = &worktrees::PROMISES[place];
        let ground = Ground::new(candidate, setup)?;
        let kept = promise.check(&ground as &dyn WorktreeFixture).await;
        ground.clear().await;
        report.add(setup.screen(), promise.name, Kept::of(kept))?;
    }
    Ok(report)
}

/// Where one promise is checked: a directory of the plugin's own, and repositories beside it.
struct Ground {
    root: TempDir,
    here: PathBuf,
    config: PluginConfig,
    sources: Sources,
    opened: Mutex<Vec<Plugin>>,
}

type Sources = Arc<Mutex<BTreeMap<RepoRef, SampleRepository>>>;

impl Ground {
    fn new(candidate: &Candidate, setup: &Setup) -> Result<Self, CliError> {
        let root = fresh()?;
        let here = root.path().canonicalize();
        let here = here.map_err(|error| CliError::io("find a directory to check in", &error))?;
        let config = candidate.config(&here.join("plugin"), setup);
        Ok(Self { root, here, config, sources: Sources::default(), opened: Mutex::default() })
    }

    /// Ends all that was started, and removes the directory.
    async fn clear(self) {
        let opened = self.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        for plugin in opened {
            plugin.shut_down().await;
        }
        drop(self.root);
    }
}

#[async_trait]
impl WorktreeFixture for Ground {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let plugin = Plugin::new(self.config.clone());
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(plugin.clone());
        let (sources, nowhere) = (Arc::clone(&self.sources), self.here.join("nowhere"));
        Arc::new(PluginWorktrees::new(plugin).with_sources(move |repository| {
            let sources = sources.lock().unwrap_or_else(PoisonError::into_inner);
            let path = sources.get(repository).map_or(&*nowhere, SampleRepository::path);
            Ok(path.to_string_lossy().into_owned())
        }))
    }

    async fn source(&self, repository: &RepoRef) -> SampleRepository {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.here.join(format!("source-{}", sources.len()));
        let make = || match SampleRepository::with_commits(&path, 3) {
            Ok(made) => made,
            Err(error) => panic!("no repository could be made to check with: {error}"),
        };
        sources.entry(repository.clone()).or_insert_with(make).clone()
    }

    fn missing(&self) -> RepoRef {
        match "git.example/no/where".parse() {
            Ok(repository) => repository,
            Err(error) => panic!("{error}"),
        }
    }
}
