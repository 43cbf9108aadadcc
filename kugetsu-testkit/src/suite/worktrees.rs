//! What a [`WorktreeProvider`] promises.

mod ground;
mod inspects;
mod prepares;
mod removes;

use std::sync::Arc;

use async_trait::async_trait;
use kugetsu_core::{RepoRef, WorktreeProvider};

use super::promise::promises;
use crate::sandbox::SampleRepository;

/// One place for worktrees, with none in it at first.
#[async_trait]
pub trait WorktreeFixture: Send + Sync + 'static {
    /// Opens the provider. Every call opens the same place again, as another process would, and
    /// the provider finds every [source](Self::source) that was made before.
    async fn open(&self) -> Arc<dyn WorktreeProvider>;

    /// The repository that the provider gets under this reference; made at the first call for it,
    /// with a few commits on `main`. It is the checkout of somebody who works in it, too.
    async fn source(&self, repository: &RepoRef) -> SampleRepository;

    /// A repository that the provider cannot get, which it finds out without a network.
    fn missing(&self) -> RepoRef;
}

promises! {
    /// Makes a test of each promise of [`WorktreeProvider`](kugetsu_core::WorktreeProvider). The
    /// argument is a [`WorktreeFixture`](crate::suite::WorktreeFixture).
    macro worktree_provider_conformance of worktrees for dyn WorktreeFixture ($);

    from prepares {
        a_worktree_is_a_clean_checkout_of_the_default_branch_on_a_branch_of_its_own,
        a_worktree_starts_from_the_base_that_is_asked_for,
        a_worktree_starts_from_the_source_as_it_is_now,
        a_base_that_is_not_there_is_refused,
        a_repository_that_cannot_be_had_is_refused,
        preparing_twice_is_preparing_once,
        preparing_keeps_what_was_done_whatever_the_source_does,
        many_who_prepare_one_worktree_at_once_get_the_same,
        many_issues_prepared_at_once_get_a_worktree_each,
        issues_that_look_alike_have_worktrees_of_their_own,
        a_worktree_whose_directory_is_gone_is_made_again_from_its_branch,
        what_is_in_the_way_is_left_alone,
        the_checkout_of_the_operator_is_never_touched,
    }
    from inspects {
        there_is_nothing_to_inspect_where_no_worktree_is,
        files_that_are_not_committed_are_counted,
        commits_are_counted,
        commits_on_another_base_are_counted_from_there,
        inspecting_changes_nothing,
        worktrees_are_listed_by_issue,
    }
    from removes {
        a_worktree_without_work_is_removed,
        removing_what_is_not_there_is_done_already,
        uncommitted_work_is_kept,
        commits_that_are_nowhere_else_are_kept,
        commits_outlive_their_directory,
        a_worktree_whose_commits_are_elsewhere_is_removed,
        work_that_is_to_be_discarded_is_gone,
        removing_one_worktree_leaves_the_others_alone,
    }
}
