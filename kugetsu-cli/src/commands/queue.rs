//! `kugetsu queue`: what is queued, and what became of it.

use kugetsu_core::{
    Attempt, AttemptEnd, Due, Failure, IssueRef, Outcome, Priority, Request, Status, Task, TaskId,
    TaskQuery, TaskState,
};
use serde_json::json;

use super::queue_daemon;
use crate::args::{Enqueue, Order, Queue};
use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

/// How much of a message a list shows.
const GLIMPSE: usize = 60;

pub(super) async fn queue(args: Queue, setup: &Setup) -> Result<(), CliError> {
    setup.must_be_made()?;
    match args {
        Queue::List { open } => list(open, setup).await,
        Queue::Stats => stats(setup).await,
        Queue::Enqueue(args) => {
            let (issue, message) = asked(&args, setup)?;
            setup.must_be_initialised().await?;
            enqueue(setup, Request::dev(issue, message), &args.order).await
        }
        Queue::Show { task } => show(task, setup).await,
        Queue::Cancel { task } => cancel(task, setup).await,
        Queue::Retry { task } => retry(task, setup).await,
    }
}

fn asked(args: &Enqueue, setup: &Setup) -> Result<(IssueRef, String), CliError> {
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
pub(super) async fn enqueue(
    setup: &Setup,
    request: Request,
    order: &Order,
) -> Result<(), CliError> {
    let queue = setup.queue().await?;
    let mut task = queue.task(request).with_priority(Priority(order.priority.unwrap_or_default()));
    if let Some(wait) = order.after {
        task.state = TaskState::Pending { due: Due::after(queue.clock().moment(), wait) };
    }
    let _ = queue.enqueue(&task).await?;
    let (screen, runs) = (setup.screen(), queue_daemon::runs(setup)?);
    if screen.json {
        return screen.answer(&json!({ "task": task.id, "daemon": runs }));
    }
    screen.say(task.id.to_string())?;
    if !runs {
        screen.remark("hint: the daemon does not run; start it with `kugetsu queue-daemon start`");
    }
    Ok(())
}

async fn list(open: bool, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let query = if open { TaskQuery::open() } else { TaskQuery::all() };
    let tasks = queue.store().list(&query).await?;
    if screen.json {
        return screen.answer(&json!({ "tasks": tasks }));
    }
    let mut rows = Rows::new(["TASK", "STATE", "ISSUE/KIND", "ATTEMPTS", "CREATED", "MESSAGE"]);
    for task in &tasks {
        rows.row([
            task.id.to_string(),
            task.status().to_string(),
            task.lane(),
            task.attempts.len().to_string(),
            time::clock(task.created),
            escape::cut(&escape::line(task.request.message()), GLIMPSE),
        ]);
    }
    rows.show(screen)
}

async fn stats(setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let tasks = queue.store().list(&TaskQuery::all()).await?;
    let count = |status| tasks.iter().filter(|task| task.status() == status).count();
    let counts = [
        ("total", tasks.len()),
        ("pending", count(Status::Pending)),
        ("notified", count(Status::Notified)),
        ("completed", count(Status::Completed)),
        ("error", count(Status::Error)),
        ("cancelled", count(Status::Cancelled)),
    ];
    if screen.json {
        let counts: serde_json::Map<_, _> =
            counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        return screen.answer(&counts);
    }
    for (name, count) in counts {
        screen.say(format!("{name:<10} {count}"))?;
    }
    Ok(())
}

async fn show(id: TaskId, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let task = queue.load(id).await?;
    if screen.json {
        return screen.answer(&task);
    }
    let mut rows = vec![
        ("task", task.id.to_string()),
        ("for", task.lane()),
        ("state", task.status().to_string()),
        ("priority", task.priority.0.to_string()),
        ("created", time::clock(task.created)),
        ("message", escape::text(task.request.message())),
    ];
    match &task.state {
        TaskState::Pending { due } => {
            let wait = due.wait(queue.clock().moment());
            if !wait.is_zero() {
                rows.push(("due in", time::stopwatch(wait)));
            }
        }
        TaskState::Settled { outcome: Outcome::Error { failure }, .. } => {
            rows.push(("error", escape::line(&failure.reason)));
        }
        TaskState::Settled { outcome: Outcome::Completed { report }, .. } => {
            rows.push(("answer", escape::text(&report.answer)));
        }
        _ => {}
    }
    for (name, value) in rows {
        screen.say(format!("{name:<10} {value}"))?;
    }
    for attempt in &task.attempts {
        let end = ending(&attempt.end);
        let (number, began) = (attempt.number, time::clock(attempt.started));
        screen.say(format!("attempt {number}  {began}  {}  {end}", attempt.worker))?;
    }
    Ok(())
}

pub(super) fn ending(end: &AttemptEnd) -> String {
    match end {
        AttemptEnd::Running => "at work".into(),
        AttemptEnd::Succeeded => "succeeded".into(),
        AttemptEnd::Failed { failure } => format!("failed: {}", escape::line(&failure.reason)),
        AttemptEnd::Released { reason } => format!("given back: {}", escape::line(reason)),
        AttemptEnd::Lost => "lost: its process died".into(),
        AttemptEnd::Cancelled => "cancelled".into(),
        _ => "ended in an unknown way".into(),
    }
}

async fn cancel(id: TaskId, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let task = queue.cancel(id).await?;
    if screen.json {
        return screen.answer(&json!({ "task": task.id, "state": task.status() }));
    }
    screen.say(if task.is_settled() {
        "Cancelled."
    } else {
        "Its agent is told to stop; the task is cancelled then."
    })
}

async fn retry(id: TaskId, setup: &Setup) -> Result<(), CliError> {
    let task: Task = setup.queue().await?.load(id).await?;
    if !task.is_settled() {
        return Err(CliError::failed(format!("task {id} is {}, and not over", task.status())));
    }
    let order = Order { priority: Some(task.priority.0), after: None };
    enqueue(setup, task.request, &order).await
}

/// An event of the queue in words: how a task went on.
pub(super) fn settled(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { report } => {
            format!("completed ({})", time::counted(report.commits.into(), "commit"))
        }
        Outcome::Error { failure } => format!("error: {}", escape::line(&failure.reason)),
        Outcome::Cancelled => "cancelled".into(),
        _ => "ended in an unknown way".into(),
    }
}

/// A failed attempt in words.
pub(super) fn failed(attempt: Attempt, failure: &Failure) -> String {
    format!("attempt {attempt} failed: {}", escape::line(&failure.reason))
}
