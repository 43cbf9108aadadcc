//! `kugetsu queue cancel`: a task comes to its end.

use serde_json::json;

use crate::errors::CliError;
use crate::setup::Setup;

pub(super) async fn cancel(task: &str, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let task = queue.cancel(setup.task(task).await?.id).await?;
    if screen.json {
        return screen.answer(&json!({ "task": task.id, "state": task.status() }));
    }
    screen.say(if task.is_settled() {
        "Cancelled."
    } else {
        "Its agent is told to stop; the task is cancelled then."
    })
}
