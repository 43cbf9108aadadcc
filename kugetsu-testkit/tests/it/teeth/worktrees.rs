use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{
    IssueRef, RepoRef, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::{WorktreeFixture, worktrees};

use super::assert_bites;
use crate::suites::worktrees::Fake;

struct Fixture {
    fault: &'static str,
    inner: Fake,
}

#[derive(Debug)]
struct Faulty {
    fault: &'static str,
    source: Option<SampleRepository>,
    inner: Arc<dyn WorktreeProvider>,
}

#[async_trait]
impl WorktreeFixture for Fixture {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let inner = self.inner.open().await;
        Arc::new(Faulty { fault: self.fault, source: self.inner.any_source(), inner })
    }

    async fn source(&self, repository: &RepoRef) -> SampleRepository {
        self.inner.source(repository).await
    }

    fn missing(&self) -> RepoRef {
        self.inner.missing()
    }
}

#[async_trait]
impl WorktreeProvider for Faulty {
    async fn prepare(&self, spec: &WorktreeSpec) -> Result<Worktree, WorktreeError> {
        let mut spec = spec.clone();
        match self.fault {
            "takes any base" => spec.base = None,
            "begins anew when the directory is gone" => {
                let known = self.inner.list().await?;
                if known.iter().any(|known| known.issue == spec.issue && !known.path.exists()) {
                    self.inner.remove(&spec.issue, Unsaved::Discard).await?;
                }
            }
            _ => {}
        }
        let mut prepared = self.inner.prepare(&spec).await;
        if let (Err(WorktreeError::InTheWay { path, .. }), "makes way") = (&prepared, self.fault) {
            fs::remove_dir_all(path).unwrap();
            prepared = self.inner.prepare(&spec).await;
        }
        let worktree = prepared?;
        let git = |arguments: &[&str]| {
            SampleRepository::at(&worktree.path).unwrap().git(arguments).unwrap()
        };
        match self.fault {
            "tidies up" => drop(git(&["reset", "--quiet", "--hard"])),
            "detaches" => drop(git(&["checkout", "--quiet", "--detach"])),
            "leaves a branch in the source" => {
                if let Some(source) = &self.source {
                    let _ = source.git(&["branch", "kugetsu"]);
                }
            }
            "always says that it has made it" => return Ok(worktree.with_created(true)),
            _ => {}
        }
        Ok(worktree)
    }

    async fn inspect(&self, issue: &IssueRef) -> Result<Option<WorktreeStatus>, WorktreeError> {
        let mut status = self.inner.inspect(issue).await?;
        if let Some(status) = &mut status {
            match self.fault {
                "sees no work" => status.dirty = 0,
                "takes all for pushed" => status.unpushed = 0,
                "counts from anywhere" => status.base = Some("main".into()),
                _ => {}
            }
        }
        Ok(status)
    }

    async fn remove(&self, issue: &IssueRef, unsaved: Unsaved) -> Result<(), WorktreeError> {
        let known = self.inner.inspect(issue).await?;
        match (self.fault, known) {
            ("discards whatever it is told", _) => self.inner.remove(issue, Unsaved::Discard).await,
            ("takes committed for saved", Some(status)) if status.dirty == 0 => {
                self.inner.remove(issue, Unsaved::Discard).await
            }
            ("fails where nothing is", None) => Err(WorktreeError::Unsupported {
                who: "faulty".into(),
                operation: "remove nothing".into(),
            }),
            ("removes all", Some(_)) => {
                for worktree in self.inner.list().await? {
                    self.inner.remove(&worktree.issue, Unsaved::Discard).await?;
                }
                Ok(())
            }
            ("removes nothing", _) => Ok(()),
            _ => self.inner.remove(issue, unsaved).await,
        }
    }

    async fn list(&self) -> Result<Vec<Worktree>, WorktreeError> {
        let mut listed = self.inner.list().await?;
        if self.fault == "lists backwards" {
            listed.reverse();
        }
        Ok(listed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_provider_is_noticed() {
    for (fault, name) in [
        ("detaches", "a_worktree_is_a_clean_checkout_of_the_default_branch_on_a_branch_of_its_own"),
        ("takes any base", "a_worktree_starts_from_the_base_that_is_asked_for"),
        ("takes any base", "a_base_that_is_not_there_is_refused"),
        ("always says that it has made it", "preparing_twice_is_preparing_once"),
        ("always says that it has made it", "many_who_prepare_one_worktree_at_once_get_the_same"),
        ("tidies up", "preparing_keeps_what_was_done_whatever_the_source_does"),
        (
            "begins anew when the directory is gone",
            "a_worktree_whose_directory_is_gone_is_made_again_from_its_branch",
        ),
        ("begins anew when the directory is gone", "commits_outlive_their_directory"),
        ("makes way", "what_is_in_the_way_is_left_alone"),
        ("leaves a branch in the source", "the_checkout_of_the_operator_is_never_touched"),
        ("sees no work", "files_that_are_not_committed_are_counted"),
        ("takes all for pushed", "commits_are_counted"),
        ("counts from anywhere", "commits_on_another_base_are_counted_from_there"),
        ("lists backwards", "worktrees_are_listed_by_issue"),
        ("removes nothing", "a_worktree_without_work_is_removed"),
        ("fails where nothing is", "removing_what_is_not_there_is_done_already"),
        ("discards whatever it is told", "uncommitted_work_is_kept"),
        ("takes committed for saved", "commits_that_are_nowhere_else_are_kept"),
        ("removes nothing", "a_worktree_whose_commits_are_elsewhere_is_removed"),
        ("removes nothing", "work_that_is_to_be_discarded_is_gone"),
        ("removes all", "removing_one_worktree_leaves_the_others_alone"),
    ] {
        let faulty = Fixture { fault, inner: Fake::new() };
        assert_bites(worktrees::PROMISES, name, &faulty as &dyn WorktreeFixture, fault).await;
    }
}
