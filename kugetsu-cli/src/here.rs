//! What the checkout means in which a command is run.

use kugetsu_core::{IssueRef, RepoRef};
use kugetsu_git::{Checkout, GitWorktrees};

use crate::errors::CliError;
use crate::repositories::Repositories;
use crate::setup::Setup;

/// Reads a reference without a repository, such as `#7`: the issue of the repository whose checkout
/// this is. `None` if the text is something else.
pub(crate) fn issue(setup: &Setup, text: &str) -> Result<Option<IssueRef>, CliError> {
    let Some(number) = text.strip_prefix('#') else { return Ok(None) };
    let repository = repository(setup)?.ok_or_else(|| {
        CliError::usage(format!("{text:?} names no repository, and this is no checkout of one"))
            .hint("write host/owner/repo#7, or owner/repo#7 on the default server")
    })?;
    Ok(Some(IssueRef::parse(&format!("{repository}#{number}"), None)?))
}

/// The repository whose checkout this is: that of the remote `origin`, or that of all remotes.
fn repository(setup: &Setup) -> Result<Option<RepoRef>, CliError> {
    let Some(checkout) = Checkout::find(&setup.around().directory) else { return Ok(None) };
    let repositories = Repositories::open(setup.paths()?)?;
    let mut meant: Option<RepoRef> = None;
    for (remote, url) in checkout.remotes() {
        let Some(repository) = repositories.of_remote(url)?.pop() else { continue };
        if remote == "origin" {
            return Ok(Some(repository));
        }
        if meant.as_ref().is_some_and(|other| *other != repository) {
            return Ok(None);
        }
        meant = Some(repository);
    }
    Ok(meant)
}

/// Has new clones take what this checkout has of their repositories. Only a person's: agents stand
/// in checkouts that they have made themselves.
pub(crate) fn lent(
    setup: &Setup,
    repositories: &Repositories,
    git: GitWorktrees,
) -> Result<GitWorktrees, CliError> {
    if !setup.is_for_person() {
        return Ok(git);
    }
    let Some(checkout) = Checkout::find(&setup.around().directory) else { return Ok(git) };
    let mut git = git;
    // What is set last counts, and `origin` comes first.
    let remotes: Vec<(&str, &str)> = checkout.remotes().collect();
    for (remote, url) in remotes.into_iter().rev() {
        for repository in repositories.of_remote(url)? {
            git = git.with_checkout(repository, checkout.clone(), remote);
        }
    }
    Ok(git)
}
