//! `kugetsu queue enqueue`: a message for the agent of an issue, to be carried out by the daemon.

use kugetsu_core::{Due, IssueRef, Priority, QueueError, Queued, Request, Task};
use serde_json::json;

use super::hold;
use crate::args::{Enqueue, Order};
use crate::commands::queue_daemon;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn asked(args: Enqueue, setup: &Setup) -> Result<(), CliError> {
    let (issue, message) = request(&args, setup)?;
    setup.must_be_initialised().await?;
    enqueue(setup, Request::dev(issue, message), &args.order).await
}

fn request(args: &Enqueue, setup: &Setup) -> Result<(IssueRef, String), CliError> {
    let issue = setup.issue(&args.issue)?;
    let message = match args.message.as_str() {
        "-" => setup.screen().read_all()?,
        given => given.to_owned(),
    };
    if message.trim().is_empty() {
        return Err(CliError::usage("the message is empty").hint("say what the agent is to do"));
    }
    if message.contains('\0') {
        return Err(CliError::usage("the message contains a NUL character"));
    }
    Ok((issue, message))
}

/// Queues it, and tells its id and whether anybody is there to carry it out.
pub(in crate::commands) async fn enqueue(
    setup: &Setup,
    request: Request,
    order: &Order,
) -> Result<(), CliError> {
    let queue = setup.queue().await?;
    let mut task = match &order.key {
        Some(key) => queue.keyed_task(key, request),
        None => queue.task(request),
    };
    task = task.with_priority(Priority(order.priority.unwrap_or_default()));
    if let Some(wait) = order.after {
        task = task.with_due(Due::after(queue.clock().moment(), wait));
    }
    store(setup, task).await
}

/// Stores the task, and tells as [`enqueue`] does. One that was asked for before is told as that.
pub(super) async fn store(setup: &Setup, task: Task) -> Result<(), CliError> {
    let queued = setup.queue().await?.enqueue(&task).await.map_err(told)?;
    let (screen, runs) = (setup.screen(), queue_daemon::runs(setup)?);
    let holds = setup.holds().await?.active().await?;
    let already = match queued {
        Queued::New => None,
        Queued::Already(first) => Some(first.status()),
    };
    if screen.json {
        return screen.answer(&json!({
            "task": task.id,
            "daemon": runs,
            "already": already,
            "holds": hold::json_of(&holds),
        }));
    }
    screen.say(task.id.to_string())?;
    if let Some(status) = already {
        screen.remark(format!("It was asked for before, under the same key; it is {status}."));
        return Ok(());
    }
    hold::remark(setup, &holds)?;
    if !runs {
        screen.remark("hint: the daemon does not run; start it with `kugetsu queue-daemon start`");
    }
    Ok(())
}

fn told(error: QueueError) -> CliError {
    let task = match &error {
        QueueError::KeyTaken { task } => Some(*task),
        _ => None,
    };
    let told = CliError::from(error);
    match task {
        Some(task) => told.hint(format!(
            "`kugetsu queue show {task}` shows it; another request needs another key"
        )),
        None => told,
    }
}
