//! `kugetsu queue retry`: what a settled task wanted, once more.

use super::enqueue;
use crate::errors::CliError;
use crate::setup::Setup;

/// The new task is the last of its lane, as whatever is asked for now.
pub(super) async fn retry(task: &str, setup: &Setup) -> Result<(), CliError> {
    let task = setup.task(task).await?;
    if !task.is_settled() {
        let id = task.id;
        return Err(CliError::failed(format!("task {id} is {}, and not over", task.status()))
            .hint(format!("`kugetsu why {id}` says what it waits for")));
    }
    let again = setup.queue().await?.task(task.request).with_priority(task.priority);
    enqueue::store(setup, again).await
}
