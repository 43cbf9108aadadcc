//! `kugetsu continue`: the agent of an issue goes on where it left off.

use kugetsu_core::{Request, SessionKind};

use super::{agents, foreground};
use crate::args::Continue;
use crate::errors::CliError;
use crate::setup::Setup;

const GO_ON: &str = "Continue where you left off.";

pub(super) async fn r#continue(args: Continue, setup: &Setup) -> Result<(), CliError> {
    let issue = setup.issue(&args.issue)?;
    let message = foreground::message(setup, args.message, args.turn.message_file.as_deref())?;
    setup.must_be_initialised().await?;
    let session = setup.session(SessionKind::Dev(issue.clone())).await?;
    // Whoever remembers what was said can go on even when nothing else is left.
    if session.is_none()
        && setup.worktrees()?.inspect(&issue).await?.is_none()
        && !setup.contexts()?.find(&issue).is_ok_and(|context| context.is_some())
    {
        return Err(CliError::failed(format!("there is nothing to continue for {issue}"))
            .hint(format!("begin with `kugetsu start {issue} <message>`")));
    }
    let message = message.unwrap_or_else(|| GO_ON.to_owned());
    let agent = agents::chosen(setup, &issue, &[], args.turn.agent.as_deref()).await?;
    let request = Request::dev(issue.clone(), message).with_agent(agent);
    foreground::work(setup, &issue, request, &args.turn).await
}
