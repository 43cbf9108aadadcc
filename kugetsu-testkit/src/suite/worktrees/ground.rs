//! What the promises about worktrees have in common.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use kugetsu_core::{
    IssueRef, RepoRef, Unsaved, Worktree, WorktreeError, WorktreeProvider, WorktreeSpec,
    WorktreeStatus,
};

use super::WorktreeFixture;
use crate::sandbox::SampleRepository;
use crate::suite::sample::issue_of;

const WIDGETS: &str = "git.example/acme/widgets";

pub(super) fn issue(number: u64) -> IssueRef {
    issue_of(WIDGETS, number)
}

pub(super) fn repository(text: &str) -> RepoRef {
    issue_of(text, 1).repository().clone()
}

/// The source that the issues of [`issue`] belong to, and a provider that finds it.
pub(super) async fn ground(
    f: &dyn WorktreeFixture,
) -> (SampleRepository, Arc<dyn WorktreeProvider>) {
    let source = f.source(&repository(WIDGETS)).await;
    (source, f.open().await)
}

pub(super) fn fine<T>(done: Result<T, WorktreeError>) -> T {
    done.unwrap_or_else(|error| panic!("the provider failed: {error}"))
}

pub(super) fn well<T>(done: io::Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("{error}"))
}

pub(super) async fn prepare(provider: &dyn WorktreeProvider, issue: &IssueRef) -> Worktree {
    fine(provider.prepare(&WorktreeSpec::new(issue.clone())).await)
}

pub(super) async fn inspect(provider: &dyn WorktreeProvider, issue: &IssueRef) -> WorktreeStatus {
    match fine(provider.inspect(issue).await) {
        Some(status) => status,
        None => panic!("{issue} has no worktree"),
    }
}

/// Tries to remove the worktree, which has to be refused, and gives the counts.
pub(super) async fn kept(provider: &dyn WorktreeProvider, worktree: &Worktree) -> (u32, u32) {
    match provider.remove(&worktree.issue, Unsaved::Keep).await {
        Err(WorktreeError::UnsavedWork { path, dirty, unpushed }) => {
            assert_eq!(path, worktree.path);
            (dirty, unpushed)
        }
        other => panic!("instead of `UnsavedWork` there was {other:?}"),
    }
}

pub(super) fn git(directory: &Path, arguments: &[&str]) -> String {
    well(well(SampleRepository::at(directory)).git(arguments))
}

pub(super) fn write(worktree: &Worktree, file: &str, text: &str) {
    let path = worktree.path.join(file);
    well(path.parent().map_or(Ok(()), fs::create_dir_all));
    well(fs::write(path, text));
}

pub(super) fn read(worktree: &Worktree, file: &str) -> Option<String> {
    fs::read_to_string(worktree.path.join(file)).ok()
}

/// Commits everything in the worktree, as its agent would, and gives the commit's id.
pub(super) fn commit(worktree: &Worktree, message: &str) -> String {
    git(&worktree.path, &["add", "--all"]);
    let who = ["-c", "user.name=Agent", "-c", "user.email=agent@example.invalid"];
    git(&worktree.path, &[&who[..], &["commit", "--quiet", "-m", message]].concat());
    head(&worktree.path)
}

pub(super) fn head(directory: &Path) -> String {
    git(directory, &["rev-parse", "HEAD"])
}

/// Pushes the worktree's branch to its source, as its agent would.
pub(super) fn push(worktree: &Worktree) {
    git(&worktree.path, &["push", "--quiet", "origin", "HEAD"]);
}

/// All that somebody who works in a checkout would miss if it was touched.
pub(super) fn snapshot(source: &SampleRepository) -> Vec<String> {
    let asked: [&[&str]; 6] = [
        &["status", "--porcelain", "--ignored", "--branch"],
        &["for-each-ref"],
        &["stash", "list"],
        &["worktree", "list", "--porcelain"],
        &["config", "--list", "--local"],
        &["reflog", "--all"],
    ];
    let mut seen: Vec<String> = asked.iter().map(|arguments| well(source.git(arguments))).collect();
    let mut names = vec![];
    for entry in well(fs::read_dir(source.path())) {
        let entry = well(entry);
        let text = fs::read(entry.path()).map(|bytes| bytes.len());
        names.push(format!("{} {text:?}", entry.file_name().display()));
    }
    names.sort();
    seen.extend(names);
    seen
}
