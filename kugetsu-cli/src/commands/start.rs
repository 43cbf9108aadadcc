//! `kugetsu start`: an agent works on an issue.

use kugetsu_core::{Expected, IssueRef, SessionError, SessionKind, SessionQuery};

use super::foreground;
use crate::args::Start;
use crate::errors::CliError;
use crate::setup::{Setup, clock};

pub(super) async fn start(args: Start, setup: &Setup) -> Result<(), CliError> {
    let issue = setup.issue(&args.issue)?;
    // With the message in a file, what stands in its place is the pull request.
    let (given, pr) = match (&args.turn.message_file, args.message, args.pr_url) {
        (Some(_), Some(word), None) if checked(&word).is_ok() => (None, Some(word)),
        (Some(_), Some(_), _) => return Err(foreground::given_twice()),
        (_, message, pr) => (message, pr),
    };
    let pr = pr.map(|url| checked(&url)).transpose()?;
    let Some(message) = foreground::message(setup, given, args.turn.message_file.as_deref())?
    else {
        return Err(CliError::usage("the message is missing").hint(
            "say what the agent is to do, give a file with `--message-file`, or `-` for the input",
        ));
    };
    setup.must_be_initialised().await?;
    if let Some(repo) = &args.repo {
        setup.remember(issue.repository(), repo)?;
    }
    let ended = foreground::work(setup, issue.clone(), message, &args.turn).await;
    if let Some(pr) = pr {
        remember_pr(setup, &issue, &pr).await?;
    }
    ended
}

/// Records the pull request in the issue's session, if there is one.
async fn remember_pr(setup: &Setup, issue: &IssueRef, pr: &str) -> Result<(), CliError> {
    use kugetsu_core::Clock as _;
    let sessions = &setup.stores().await?.sessions;
    loop {
        let query = SessionQuery::of(SessionKind::Dev(issue.clone()));
        let Some(mut session) = sessions.find(&query).await?.pop() else { return Ok(()) };
        if session.pr.as_deref() == Some(pr) {
            return Ok(());
        }
        session.pr = Some(pr.to_owned());
        session.updated = clock()?.now();
        match sessions.put(&session, Expected::At(session.revision)).await {
            Err(SessionError::Conflict { .. }) => {}
            other => return other.map(drop).map_err(CliError::from),
        }
    }
}

fn checked(url: &str) -> Result<String, CliError> {
    let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_fine = address.is_some_and(|rest| {
        rest.split('/').count() > 1
            && !rest.split('/').next().unwrap_or_default().contains('@')
            && url.len() <= 2000
            && url.bytes().all(|b| b.is_ascii_graphic())
    });
    if is_fine {
        return Ok(url.to_owned());
    }
    Err(CliError::usage(format!("{url:?} is no address of a pull request"))
        .hint("a message of several words is one argument, in quotes"))
}
