//! `kugetsu queue enqueue`: a message for the agent of an issue, to be carried out by the daemon.

use kugetsu_core::{Due, IssueRef, Priority, Queued, Request, Status, Task};
use serde_json::json;

use super::hold;
use crate::args::{Enqueue, Order};
use crate::commands::{agents, issue_text, queue_daemon};
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn asked(args: Enqueue, setup: &Setup) -> Result<(), CliError> {
    let (issue, message) = request(&args, setup)?;
    setup.must_be_initialised().await?;
    let wanted = issue_text::wanted(setup, &issue, message).await?;
    let agent = agents::chosen(setup, &issue, &wanted.labels, args.agent.as_deref()).await?;
    let request = Request::dev(issue, wanted.message).with_agent(agent);
    enqueue(setup, request, &args.order).await
}

fn request(args: &Enqueue, setup: &Setup) -> Result<(IssueRef, Option<String>), CliError> {
    let issue = setup.issue(&args.issue)?;
    let message = match args.message.as_deref() {
        None => return Ok((issue, None)),
        Some("-") => setup.screen().read_all()?,
        Some(given) => given.to_owned(),
    };
    if message.trim().is_empty() {
        return Err(CliError::usage("the message is empty").hint("say what the agent is to do"));
    }
    if message.contains('\0') {
        return Err(CliError::usage("the message contains a NUL character"));
    }
    Ok((issue, Some(message)))
}

/// Queues it, and tells its id and whether anybody is there to carry it out.
pub(in crate::commands) async fn enqueue(
    setup: &Setup,
    request: Request,
    order: &Order,
) -> Result<(), CliError> {
    let task = ordered(setup, request, order).await?;
    store(setup, task).await
}

/// A new task whose turn comes as it is wanted; not stored yet.
pub(in crate::commands) async fn ordered(
    setup: &Setup,
    request: Request,
    order: &Order,
) -> Result<Task, CliError> {
    let queue = setup.queue().await?;
    let mut task = match &order.key {
        Some(key) => queue.keyed_task(key, request),
        None => queue.task(request),
    };
    task = task.with_priority(Priority(order.priority.unwrap_or_default()));
    if let Some(wait) = order.after {
        task = task.with_due(Due::after(queue.clock().moment(), wait));
    }
    Ok(task)
}

/// Stores the task, and tells as [`enqueue`] does. One that was asked for before is told as that.
pub(in crate::commands) async fn store(setup: &Setup, task: Task) -> Result<(), CliError> {
    let already = put(setup, &task).await?;
    let (screen, runs) = (setup.screen(), queue_daemon::runs(setup)?);
    let holds = setup.holds().await?.active().await?;
    if screen.json {
        return screen.answer(&json!({
            "task": task.id,
            "daemon": runs,
            "already": already,
            "holds": hold::json_of(&holds),
        }));
    }
    screen.say(task.id.to_string())?;
    remark(setup, already).await
}

/// Stores the task in the name of whoever runs the command. Returns how the one stands that was
/// asked for before under the same key.
pub(in crate::commands) async fn put(
    setup: &Setup,
    task: &Task,
) -> Result<Option<Status>, CliError> {
    let (queue, allowance) = (setup.queue().await?, setup.allowance()?);
    Ok(match setup.caller()?.enqueue(&queue, task, allowance).await? {
        Queued::New => None,
        Queued::Already(first) => Some(first.status()),
    })
}

/// Says beside the answer what a new task waits for.
pub(in crate::commands) async fn remark(
    setup: &Setup,
    already: Option<Status>,
) -> Result<(), CliError> {
    let screen = setup.screen();
    if let Some(status) = already {
        screen.remark(format!("It was asked for before, under the same key; it is {status}."));
        return Ok(());
    }
    hold::remark(setup, &setup.holds().await?.active().await?)?;
    if !queue_daemon::runs(setup)? {
        screen.remark("hint: the daemon does not run; start it with `kugetsu queue-daemon start`");
    }
    Ok(())
}
