//! `kugetsu queue cancel`: a task comes to its end.

use serde_json::json;

use crate::caller::Caller;
use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn cancel(task: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let task = setup.task(task).await?;
    if setup.caller()? != Caller::Person && task.asked_by.is_none() {
        let message = format!("an agent did not ask for task {}, and may not end it", task.id);
        return Err(CliError::failed(message).hint("ask the user for it in your answer"));
    }
    let task = queue.cancel(task.id).await?;
    if screen.json {
        return screen.answer(&json!({ "task": task.id, "state": task.status() }));
    }
    screen.say(if task.is_settled() {
        "Cancelled."
    } else {
        "Its agent is told to stop; the task is cancelled then."
    })
}
