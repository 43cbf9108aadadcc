//! `kugetsu queue list`: the tasks, oldest first.

use kugetsu_core::TaskQuery;
use serde_json::json;

use super::hold;
use crate::errors::CliError;
use crate::screen::table::Rows;
use crate::screen::{escape, time};
use crate::setup::Setup;

/// How much of a message a list shows.
const GLIMPSE: usize = 60;

pub(super) async fn list(open: bool, setup: &Setup) -> Result<(), CliError> {
    let (screen, queue) = (setup.screen(), setup.queue().await?);
    let query = if open { TaskQuery::open() } else { TaskQuery::all() };
    let tasks = queue.store().list(&query).await?;
    let holds = setup.holds().await?.active().await?;
    let unreadable = super::unreadable(setup).await?;
    if screen.json {
        return screen.answer(&json!({
            "tasks": tasks, "holds": hold::json_of(&holds), "unreadable": unreadable,
        }));
    }
    hold::remark(setup, &holds)?;
    super::remark_unreadable(setup, unreadable);
    let mut rows = Rows::new(["TASK", "STATE", "ISSUE/KIND", "ATTEMPTS", "CREATED", "MESSAGE"]);
    for task in &tasks {
        rows.row([
            task.id.to_string(),
            task.status().to_string(),
            task.lane(),
            task.attempts.len().to_string(),
            time::clock(task.created),
            escape::cut(&escape::line(&screen.masked(task.request.message())), GLIMPSE),
        ]);
    }
    rows.show(screen)
}
