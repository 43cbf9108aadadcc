use std::fs;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kugetsu_core::{
    IssueRef, RepoRef, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};
use kugetsu_testkit::sandbox::SampleRepository;
use kugetsu_testkit::suite::{WorktreeFixture, worktrees};

use super::{assert_each_is_noticed, faults};
use crate::suites::worktrees::Fake;

struct Fixture {
    fault: &'static str,
    inner: Fake,
    prepared: Arc<Mutex<Option<(Worktree, String)>>>,
}

#[derive(Debug)]
struct Faulty {
    fault: &'static str,
    source: Option<SampleRepository>,
    inner: Arc<dyn WorktreeProvider>,
    /// The first one, and the commit that it started from.
    prepared: Arc<Mutex<Option<(Worktree, String)>>>,
}

#[async_trait]
impl WorktreeFixture for Fixture {
    async fn open(&self) -> Arc<dyn WorktreeProvider> {
        let inner = self.inner.open().await;
        let prepared = Arc::clone(&self.prepared);
        Arc::new(Faulty { fault: self.fault, source: self.inner.any_source(), inner, prepared })
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
            "folds issues" => {
                spec.issue = spec.issue.to_string().to_lowercase().parse().unwrap();
            }
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
        if let ("takes a missing repository for a missing branch", Err(_)) = (self.fault, &prepared)
        {
            let repository = spec.issue.repository().to_string();
            return Err(WorktreeError::NoBaseBranch { repository, branch: "main".into() });
        }
        let worktree = prepared?;
        let git = |arguments: &[&str]| {
            SampleRepository::at(&worktree.path).unwrap().git(arguments).unwrap()
        };
        let mut first = self.prepared.lock().unwrap();
        let (first, start) =
            first.get_or_insert_with(|| (worktree.clone(), git(&["rev-parse", "HEAD"])));
        match self.fault {
            "starts where the first one did" => drop(git(&["reset", "--quiet", "--hard", start])),
            "has one worktree for all" => return Ok(first.clone()),
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
        if let ("finds what begins so", None) = (self.fault, &status) {
            let known = self.inner.list().await?.into_iter().map(|worktree| worktree.issue);
            let begins = |known: &IssueRef| issue.to_string().starts_with(&known.to_string());
            for alike in known.filter(begins) {
                status = self.inner.inspect(&alike).await?;
            }
        }
        if let Some(status) = &mut status {
            match self.fault {
                "fetches to inspect" => {
                    let here = SampleRepository::at(&status.worktree.path).unwrap();
                    here.git(&["fetch", "--quiet", "origin"]).unwrap();
                }
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

faults! {
    a_worktree_is_a_clean_checkout_of_the_default_branch_on_a_branch_of_its_own {
        "detaches" => "ref HEAD is not a symbolic ref",
    }
    a_worktree_starts_from_the_base_that_is_asked_for {
        "takes any base" => "left == right",
    }
    a_worktree_starts_from_the_source_as_it_is_now {
        "starts where the first one did" => "left == right",
    }
    a_base_that_is_not_there_is_refused {
        "takes any base" => "\"no/such-branch\": instead of `NoBaseBranch` there was Ok(",
    }
    a_repository_that_cannot_be_had_is_refused {
        "takes a missing repository for a missing branch" => "instead of `NoRepository` there was Err(NoBaseBranch",
    }
    preparing_twice_is_preparing_once {
        "always says that it has made it" => "created: true",
    }
    preparing_keeps_what_was_done_whatever_the_source_does {
        "tidies up" => "left == right",
    }
    many_who_prepare_one_worktree_at_once_get_the_same {
        "always says that it has made it" => "so many say that they have made it",
    }
    many_issues_prepared_at_once_get_a_worktree_each {
        "has one worktree for all" => "left: 1",
    }
    issues_that_look_alike_have_worktrees_of_their_own {
        "folds issues" => "git.example/A/b-c",
    }
    a_worktree_whose_directory_is_gone_is_made_again_from_its_branch {
        "begins anew when the directory is gone" => "left == right",
    }
    what_is_in_the_way_is_left_alone {
        "makes way" => "instead of `InTheWay` there was Ok(",
    }
    the_checkout_of_the_operator_is_never_touched {
        "leaves a branch in the source" => "refs/heads/kugetsu",
    }
    there_is_nothing_to_inspect_where_no_worktree_is {
        "finds what begins so" => "left: Some(WorktreeStatus {",
    }
    files_that_are_not_committed_are_counted {
        "sees no work" => "a changed file",
    }
    commits_are_counted {
        "takes all for pushed" => "left: (1, 0)",
    }
    commits_on_another_base_are_counted_from_there {
        "counts from anywhere" => "left: Some(\"main\")",
    }
    inspecting_changes_nothing {
        "fetches to inspect" => "refs/remotes/origin/HEAD",
    }
    worktrees_are_listed_by_issue {
        "lists backwards" => "left: [Worktree {",
    }
    a_worktree_without_work_is_removed {
        "removes nothing" => "!worktree.path.exists()",
    }
    removing_what_is_not_there_is_done_already {
        "fails where nothing is" => "faulty cannot remove nothing",
    }
    uncommitted_work_is_kept {
        "discards whatever it is told" => "instead of `UnsavedWork` there was Ok(())",
    }
    commits_that_are_nowhere_else_are_kept {
        "takes committed for saved" => "instead of `UnsavedWork` there was Ok(())",
    }
    commits_outlive_their_directory {
        "begins anew when the directory is gone" => "left == right",
    }
    a_worktree_whose_commits_are_elsewhere_is_removed {
        "removes nothing" => "!worktree.path.exists()",
    }
    work_that_is_to_be_discarded_is_gone {
        "removes nothing" => "!worktree.path.exists()",
    }
    removing_one_worktree_leaves_the_others_alone {
        "removes all" => "git.example/acme/widgets#10 has no worktree",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_provider_is_noticed() {
    let faulty = async |fault| {
        Box::new(Fixture { fault, inner: Fake::new(), prepared: Arc::default() })
            as Box<dyn WorktreeFixture>
    };
    assert_each_is_noticed(worktrees::PROMISES, FAULTS, faulty).await;
}
