//! `kugetsu start`: an agent works on an issue.

use kugetsu_core::Request;

use super::{agents, foreground, issue_text, set_pr};
use crate::args::Start;
use crate::errors::CliError;
use crate::repositories;
use crate::setup::Setup;

pub(super) async fn start(args: Start, setup: &Setup) -> Result<(), CliError> {
    let issue = setup.issue(&args.issue)?;
    // With the message in a file, what stands in its place is the pull request.
    let (given, pr) = match (&args.turn.message_file, args.message, args.pr_url) {
        (Some(_), Some(word), None) if set_pr::checked(&word).is_ok() => (None, Some(word)),
        (Some(_), Some(_), _) => return Err(foreground::given_twice()),
        (_, message, pr) => (message, pr),
    };
    let pr = pr.map(|url| set_pr::of_issue(&issue, &url).map_err(several_words)).transpose()?;
    let message = foreground::message(setup, given, args.turn.message_file.as_deref())?;
    setup.must_be_initialised().await?;
    let wanted = issue_text::wanted(setup, &issue, message).await?;
    let agent = agents::chosen(setup, &issue, &wanted.labels, args.turn.agent.as_deref()).await?;
    if let Some(repo) = &args.repo {
        repositories::remember(setup, issue.repository(), repo)?;
    }
    let request = Request::dev(issue.clone(), wanted.message).with_agent(agent);
    let ended = foreground::work(setup, &issue, request, &args.turn).await;
    if let Some(pr) = pr {
        set_pr::remember(setup, &issue, Some(&pr)).await?;
    }
    ended
}

fn several_words(error: CliError) -> CliError {
    error.hint("a message of several words is one argument, in quotes")
}
