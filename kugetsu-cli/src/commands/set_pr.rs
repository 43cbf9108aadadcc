//! `kugetsu set-pr`: the pull request of an issue.

use kugetsu_core::{
    Clock as _, Expected, IssueRef, PullRef, SessionError, SessionKind, SessionQuery,
};
use serde_json::json;

use crate::args::SetPr;
use crate::errors::CliError;
use crate::setup::{Setup, clock};

const FORMS: &str = "write it as https://host/owner/repo/pull/7, https://host/owner/repo/pulls/7 or \
     https://host/owner/repo/-/merge_requests/7";

pub(super) async fn set_pr(args: SetPr, setup: &Setup) -> Result<(), CliError> {
    let issue = setup.issue(&args.issue)?;
    let pr = args.pr_url.map(|url| of_issue(&issue, &url).map_err(|error| error.hint(FORMS)));
    let pr = pr.transpose()?;
    setup.must_be_made()?;
    if !remember(setup, &issue, pr.as_deref()).await? {
        return Err(CliError::failed(format!("{issue} has no session"))
            .hint(format!("begin with `kugetsu start {issue} <message>`")));
    }
    let screen = setup.screen();
    if screen.json {
        return screen.answer(&json!({ "issue": issue, "pr": pr }));
    }
    match pr {
        Some(pr) => screen.say(format!("{issue} has led to {pr}")),
        None => screen.say(format!("{issue} has led to no pull request")),
    }
}

/// Records the pull request in the issue's session, or that there is none. Says whether there is a
/// session.
pub(super) async fn remember(
    setup: &Setup,
    issue: &IssueRef,
    pr: Option<&str>,
) -> Result<bool, CliError> {
    let sessions = &setup.stores().await?.sessions;
    loop {
        let query = SessionQuery::of(SessionKind::Dev(issue.clone()));
        let Some(mut session) = sessions.find(&query).await?.pop() else { return Ok(false) };
        if session.pr.as_deref() == pr {
            return Ok(true);
        }
        session.pr = pr.map(str::to_owned);
        session.updated = clock()?.now();
        match sessions.put(&session, Expected::At(session.revision)).await {
            Err(SessionError::Conflict { .. }) => {}
            other => return other.map(|_| true).map_err(CliError::from),
        }
    }
}

/// The address of a pull request that may be the issue's: one of its own repository.
pub(super) fn of_issue(issue: &IssueRef, url: &str) -> Result<String, CliError> {
    let plain = checked(url)?;
    let Ok(pull) = plain.parse::<PullRef>() else { return Ok(plain) };
    if pull.repository() == issue.repository() {
        return Ok(plain);
    }
    let (theirs, ours) = (pull.repository(), issue.repository());
    Err(CliError::usage(format!("{plain} is a pull request of {theirs}, and {issue} is of {ours}"))
        .hint("give the one that wants to change the issue's own repository"))
}

/// A pull request's address, without what may stand behind it.
pub(super) fn checked(url: &str) -> Result<String, CliError> {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    if plain.parse::<PullRef>().is_ok() {
        return Ok(plain.to_owned());
    }
    if plain.contains('@') {
        return Err(CliError::usage("a pull request's address has no user and no password in it"));
    }
    let shown: String = plain.chars().take(80).collect();
    Err(CliError::usage(format!("{shown:?} is no address of a pull request")))
}
