use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kugetsu::core::{IssueRef, RepoRef, WorktreeProvider, WorktreeSpec};
use kugetsu_examples::worktrees::PlainGit;
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::WorktreeFixture;
use tempfile::TempDir;

struct Place {
    root: TempDir,
    sources: Mutex<BTreeMap<RepoRef, SampleRepository>>,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::with_prefix("kugetsu-example-").unwrap();
        Self { root, sources: Mutex::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn provider(&self) -> PlainGit {
        let sources = self.sources.lock().unwrap();
        let provider = PlainGit::new(self.path("kugetsu"));
        sources.iter().fold(provider, |provider, (repository, source)| {
            provider.with_source(repository.clone(), source.path().to_str().unwrap())
        })
    }
}

#[async_trait]
impl WorktreeFixture for Place {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        Arc::new(self.provider())
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

kugetsu_testkit::worktree_provider_conformance!(Place::new());

#[tokio::test]
async fn half_a_worktree_of_a_process_that_died_is_made_whole() {
    let place = Place::new();
    let issue: IssueRef = "git.example/acme/widgets#1".parse().unwrap();
    let source = place.source(issue.repository()).await;
    let provider = place.provider();
    let spec = WorktreeSpec::new(issue.clone());
    let worktree = provider.prepare(&spec).await.unwrap();
    // As it is between the branch and the end of the checkout.
    let clone = SampleRepository::at(&worktree.repository).unwrap();
    clone.git(&["config", "--unset", "branch.fix/issue-1.made"]).unwrap();
    clone.git(&["worktree", "lock", worktree.path.to_str().unwrap()]).unwrap();
    std::fs::remove_file(worktree.path.join("README.md")).unwrap();
    assert_eq!(provider.inspect(&issue).await.unwrap(), None);
    assert_eq!(provider.list().await.unwrap(), []);
    let again = provider.prepare(&spec).await.unwrap();
    assert_eq!(again, worktree);
    let status = provider.inspect(&issue).await.unwrap().unwrap();
    assert_eq!((status.dirty, status.head), (0, Some(source.head().unwrap())));
}
