//! `kugetsu delegate`: what is wanted in plain words, for the agent of the issue that it names or for
//! the PM.

use std::time::Duration;

use kugetsu_core::{
    IssueRef, Outcome, Request, SessionKind, SessionQuery, Task, TaskId, TaskState,
};
use kugetsu_queue::WatchedStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{foreground, queue};
use crate::args::Delegate;
use crate::errors::{CliError, Kind};
use crate::references::{Mentioned, mentioned};
use crate::screen::escape;
use crate::setup::Setup;
use crate::signals::Signals;

/// How often to look whether another process has told something.
const LOOK: Duration = Duration::from_millis(250);

/// How many issues a person is offered to choose from.
const OFFERED: usize = 9;

pub(super) async fn delegate(args: Delegate, setup: &Setup) -> Result<(), CliError> {
    let given = args.message.filter(|message| !message.trim().is_empty());
    let message = foreground::message(setup, given, args.message_file.as_deref())?;
    let Some(message) = message else { return Err(CliError::usage("message is required")) };
    setup.must_be_made()?;
    if setup.session(SessionKind::Pm).await?.is_none() {
        return Err(CliError::config("PM agent session not found. Run 'kugetsu init' first."));
    }
    setup.must_be_initialised().await?;
    let request = addressed(message, setup).await?;
    let task = queue::ordered(setup, request, &args.order).await?;
    match args.wait {
        None => queue::store(setup, task).await,
        Some(most) => answer(&task, most, setup).await,
    }
}

/// To whom the message goes.
async fn addressed(message: String, setup: &Setup) -> Result<Request, CliError> {
    let found = mentioned(&message, setup.settings()?.default_server());
    if found.is_incomplete()
        && setup.screen().can_ask()
        && let Some(issue) = chosen(&found, setup).await?
    {
        return Ok(Request::dev(issue, message));
    }
    Ok(found.request(message))
}

/// The issue that a person picks among those that have been worked on; `None` leaves it to the PM.
async fn chosen(found: &Mentioned, setup: &Setup) -> Result<Option<IssueRef>, CliError> {
    let sessions = setup.stores().await?.sessions.find(&SessionQuery::all()).await?;
    let mut known: Vec<IssueRef> = sessions
        .into_iter()
        .filter_map(|session| match session.kind {
            SessionKind::Dev(issue) => Some(issue),
            _ => None,
        })
        .collect();
    let numbers: Vec<u64> = found.numbers().collect();
    if known.iter().any(|issue| numbers.contains(&issue.number())) {
        known.retain(|issue| numbers.contains(&issue.number()));
    }
    known.sort();
    known.truncate(OFFERED);
    if known.is_empty() {
        return Ok(None);
    }
    let screen = setup.screen();
    screen.remark(format!("Which issue is {}?", escape::line(&found.partial.join(", "))));
    for (number, issue) in known.iter().enumerate() {
        screen.remark(format!("  {}  {issue}", number + 1));
    }
    let answer = screen.ask("Its number, or Enter to leave it to the PM: ")?;
    if answer.is_empty() {
        return Ok(None);
    }
    let picked = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    match picked.and_then(|index| known.into_iter().nth(index)) {
        Some(issue) => Ok(Some(issue)),
        None => Err(CliError::usage(format!("{answer:?} is none of them; nothing was queued"))),
    }
}

/// Queues the task, waits for its end and prints the answer. Whoever stops waiting stops nothing
/// else.
async fn answer(task: &Task, most: Option<Duration>, setup: &Setup) -> Result<(), CliError> {
    let events = WatchedStore::new(std::sync::Arc::clone(&setup.stores().await?.tasks));
    let mut follower = events.follow(events.end().await?).with_look(LOOK);
    let already = queue::put(setup, task).await?;
    let (id, screen) = (task.id, setup.screen());
    if !screen.json {
        screen.remark(format!("Queued for {} as task {id}", recipient(task)));
        queue::remark_new(setup, already).await?;
    }
    let stop = CancellationToken::new();
    let _signals = if setup.around().is_of_process {
        Some(Signals::listen(stop.clone(), || {}, || {})?)
    } else {
        None
    };
    let goes_on = format!("it goes on by itself; `kugetsu queue show {id}` shows its answer");
    let ended = async {
        loop {
            let task = setup.queue().await?.load(id).await?;
            if task.is_settled() {
                return Ok::<Task, CliError>(task);
            }
            follower.next().await?;
        }
    };
    let patience = async {
        match most {
            Some(most) => tokio::time::sleep(most).await,
            None => std::future::pending().await,
        }
    };
    let task = tokio::select! {
        ended = ended => ended?,
        () = stop.cancelled() => {
            return Err(CliError::new(Kind::Interrupted, format!("task {id} is not waited for"))
                .hint(goes_on));
        }
        () = patience => {
            return Err(CliError::new(Kind::Temporary, format!("task {id} is not done yet"))
                .hint(goes_on));
        }
    };
    told(&task, id, setup)
}

fn told(task: &Task, id: TaskId, setup: &Setup) -> Result<(), CliError> {
    let screen = setup.screen();
    let TaskState::Settled { outcome, .. } = &task.state else {
        return Err(CliError::failed(format!("task {id} did not come to an end")));
    };
    match outcome {
        Outcome::Completed { report } if screen.json => {
            screen.answer(&json!({ "task": id, "for": task.lane(), "answer": report.answer }))
        }
        Outcome::Completed { report } => screen.say(escape::text(&report.answer)),
        Outcome::Error { failure } => {
            Err(CliError::failed(format!("{} failed: {}", recipient(task), failure.reason))
                .hint(format!("`kugetsu queue retry {id}` asks once more")))
        }
        Outcome::Cancelled => Err(CliError::failed(format!("task {id} was cancelled"))),
        _ => Err(CliError::failed(format!("task {id} ended in an unknown way"))),
    }
}

fn recipient(task: &Task) -> String {
    task.request.issue().map_or("the PM".to_owned(), ToString::to_string)
}
