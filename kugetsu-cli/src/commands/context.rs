//! `kugetsu context`: what is remembered of an issue.

use kugetsu_queue::IssueContext;
use serde_json::json;

use crate::args::Context;
use crate::errors::CliError;
use crate::screen::{Screen, escape, time};
use crate::setup::Setup;

#[allow(clippy::unused_async)]
pub(super) async fn context(args: Context, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    let issue = setup.issue(&args.issue)?;
    let found = setup.contexts()?.find(&issue).map_err(|error| {
        CliError::io(format_args!("read the context of {issue}"), &error)
            .hint("it is written anew when an agent works on the issue again")
    })?;
    let Some(context) = found else {
        let keeps = setup.settings()?.keeps_contexts();
        let hint = if keeps {
            format!(
                "one is kept as soon as an agent works on it: `kugetsu start {issue} <message>`"
            )
        } else {
            "none is kept, since enable_context_dump is false".into()
        };
        return Err(CliError::failed(format!("there is no context of {issue}")).hint(hint));
    };
    let screen = setup.screen();
    if screen.json { screen.answer(&in_json(&context)) } else { show(&context, screen) }
}

fn in_json(context: &IssueContext) -> serde_json::Value {
    let messages: Vec<_> = context
        .messages
        .iter()
        .map(|said| json!({ "at": time::rfc3339(said.at), "who": said.who, "text": said.text }))
        .collect();
    json!({
        "issue": context.issue,
        "branch": context.branch,
        "worktree": context.worktree,
        "session": context.session,
        "task": context.task,
        "attempt": context.attempt,
        "began": time::rfc3339(context.began),
        "updated": time::rfc3339(context.updated),
        "outcome": context.outcome,
        "message": context.message,
        "messages": messages,
    })
}

fn show(context: &IssueContext, screen: &Screen) -> Result<(), CliError> {
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".to_owned(), escape::line);
    let outcome = match &context.outcome {
        Some(outcome) => escape::line(outcome),
        None => "not known: it goes on, or its process was killed".into(),
    };
    let heads = [
        ("issue", context.issue.to_string()),
        ("branch", or_dash(&context.branch)),
        ("worktree", or_dash(&context.worktree)),
        ("session", or_dash(&context.session)),
        ("task", context.task.to_string()),
        ("attempt", context.attempt.to_string()),
        ("began", time::clock(context.began)),
        ("updated", time::clock(context.updated)),
        ("outcome", outcome),
    ];
    for (name, value) in heads {
        screen.say(format!("{name:<9} {value}"))?;
    }
    screen.say("")?;
    screen.say("The last message:")?;
    lines(&context.message, screen)?;
    screen.say("")?;
    screen.say("The conversation:")?;
    for said in &context.messages {
        screen.say(format!("{}  {}", time::clock(said.at), said.who))?;
        lines(&said.text, screen)?;
    }
    Ok(())
}

/// What somebody said, set in, so that none of it looks like something of ours.
fn lines(text: &str, screen: &Screen) -> Result<(), CliError> {
    // Masked whole: a secret may go over several lines.
    let text = escape::text(&screen.masked(text));
    text.lines().try_for_each(|line| screen.say(format!("    {line}").trim_end()))
}
